#include "threads.h"

#include <exception>
#include <memory>

#if !defined(_WIN32)
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

// A decoding step follows the last within a millisecond or so: spin for a little, then sleep.
constexpr int SPINS_AT_BARRIER = 4000;
constexpr int SPINS_FOR_WORK = 20000;

inline void pause_briefly() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

template <typename F>
void wait_until(F done) {
    for (int i = 0; !done(); ++i) {
        if (i < SPINS_AT_BARRIER) pause_briefly();
        else std::this_thread::yield();
    }
}

int wanted_size = 0;

}  // namespace

Team::Team(int size) : size_(size) {
    for (int i = 1; i < size; ++i) threads_.emplace_back([this, i] { serve(i); });
}

Team::~Team() {
    stop_ = true;
    {
        std::lock_guard<std::mutex> lock(mutex_);
        job_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void Team::run(const std::function<void(Member&)>& f) {
    function_ = &f;
    for (Counter& counter : counters_) counter.next = 0;
    job_.fetch_add(1);
    if (asleep_.load() > 0) {
        std::lock_guard<std::mutex> lock(mutex_);
        wake_.notify_all();
    }
    Member self(*this, 0);
    std::exception_ptr failure;
    try {
        f(self);
    } catch (...) {
        failure = std::current_exception();
        abandoned_ = true;
    }
    wait_until([&] { return finished_.load() == size_ - 1; });
    finished_ = 0;
    arrived_ = 0;
    abandoned_ = false;
    if (failure) std::rethrow_exception(failure);
}

void Team::serve(int index) {
    uint64_t seen = 0;
    for (;;) {
        for (int i = 0; i < SPINS_FOR_WORK && job_.load() == seen; ++i) pause_briefly();
        if (job_.load() == seen) {
            std::unique_lock<std::mutex> lock(mutex_);
            asleep_.fetch_add(1);
            wake_.wait(lock, [&] { return job_.load() != seen; });
            asleep_.fetch_sub(1);
        }
        ++seen;
        if (stop_) return;
        Member self(*this, index);
        try {
            (*function_)(self);
        } catch (const Abandoned&) {
        }
        finished_.fetch_add(1);
    }
}

void Team::meet() {
    uint32_t generation = generation_.load();
    if (arrived_.fetch_add(1) + 1 == size_) {
        arrived_.store(0);
        generation_.fetch_add(1);
        return;
    }
    wait_until([&] { return generation_.load() != generation || abandoned_.load(); });
    if (abandoned_) throw Abandoned();
}

Team& shared_team() {
    static std::unique_ptr<Team> team;
#if !defined(_WIN32)
    static pid_t owner = 0;
    if (owner != getpid()) {
        team.release();  // the threads stayed in the parent
        owner = getpid();
    }
#endif
    int size = wanted_size > 0 ? wanted_size : (int)std::thread::hardware_concurrency();
    if (size < 1) size = 1;
    if (!team || team->size() != size) {
        team.reset();
        team = std::make_unique<Team>(size);
    }
    return *team;
}

void set_team_size(int size) { wanted_size = size; }
