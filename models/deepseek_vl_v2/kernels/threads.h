// A team of threads that run one function together and meet at barriers.
#pragma once
#include <stdint.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

class Team;

// One thread's view of the function that the team runs.
class Member {
public:
    Member(Team& team, int index) : index(index), team_(team) {}
    const int index;
    int count() const;
    void barrier();

    // Call f(i) for every i in [0, n), shared out `chunk` at a time; a barrier follows. Every
    // member must make the same sequence of calls.
    template <typename F>
    void share(int64_t n, int64_t chunk, F f);

    // Call f on one member; a barrier follows.
    template <typename F>
    void alone(F f) {
        if (index == 0) f();
        barrier();
    }

private:
    Team& team_;
    uint32_t round_ = 0;
};

class Team {
public:
    explicit Team(int size);
    ~Team();
    int size() const { return size_; }
    // Run f(member) on every thread of the team, this one included. An exception of this thread
    // makes the others leave at their next barrier, and is thrown again.
    void run(const std::function<void(Member&)>& f);

private:
    friend class Member;
    static constexpr int COUNTERS = 4;
    struct Abandoned {};
    struct alignas(64) Counter { std::atomic<int64_t> next{0}; };

    void serve(int index);
    void meet();

    const int size_;
    std::vector<std::thread> threads_;
    Counter counters_[COUNTERS];
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<uint32_t> generation_{0};
    alignas(64) std::atomic<uint64_t> job_{0};
    std::atomic<bool> stop_{false};
    std::atomic<bool> abandoned_{false};
    std::atomic<int> finished_{0};
    std::atomic<int> asleep_{0};
    const std::function<void(Member&)>* function_ = nullptr;
    std::mutex mutex_;
    std::condition_variable wake_;
};

// The process's team; made anew when the wanted size changed or the process was forked.
Team& shared_team();
void set_team_size(int size);

inline int Member::count() const { return team_.size(); }
inline void Member::barrier() { team_.meet(); }

template <typename F>
void Member::share(int64_t n, int64_t chunk, F f) {
    std::atomic<int64_t>& next = team_.counters_[round_ % Team::COUNTERS].next;
    // The counter after the next one is free: everybody has passed a barrier since its last use.
    if (index == 0) team_.counters_[(round_ + 2) % Team::COUNTERS].next.store(0);
    ++round_;
    for (;;) {
        int64_t begin = next.fetch_add(chunk, std::memory_order_relaxed);
        if (begin >= n) break;
        int64_t end = begin + chunk < n ? begin + chunk : n;
        for (int64_t i = begin; i < end; ++i) f(i);
    }
    barrier();
}
