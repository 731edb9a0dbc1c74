// The values of the 16 int4 codes: INT4_CODES in quantized_format.py.
#pragma once
#include <stdint.h>

static constexpr int8_t INT4_CODES[16] = {-127, -99, -78, -61, -47, -34, -22, -11,
                                      0,    11,  23,  35,  49,  64,  82,  105};
