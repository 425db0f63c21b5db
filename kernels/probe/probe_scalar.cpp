// Plain loops: eight independent sums, so that latency is not what is measured.
#include <string.h>

#include "kernels/probe/probe.h"

namespace gemlet {
extern const ProbeVariant kProbeScalar;
namespace {

constexpr size_t kChains = 8;

uint64_t read_scalar(const uint8_t* data, size_t n_bytes) {
    uint64_t sum[kChains] = {};
    for (size_t at = 0; at < n_bytes; at += sizeof sum) {
        uint64_t word[kChains];
        memcpy(word, data + at, sizeof word);
        for (size_t i = 0; i < kChains; ++i) sum[i] ^= word[i];
    }
    uint64_t all = 0;
    for (const uint64_t part : sum) all ^= part;
    return all;
}

uint64_t multiply_scalar(size_t n_steps) {
    int32_t sum[kChains] = {1, 2, 3, 4, 5, 6, 7, 8};
    int32_t factor = 3;
    for (size_t step = 0; step < n_steps; ++step) {
        __asm__ volatile("" : "+r"(factor));  // the compiler must not know the product
        for (int32_t& part : sum) {
            part += factor * 5;
            __asm__ volatile("" : "+r"(part));
        }
    }
    return n_steps * kChains;
}

}  // namespace

const ProbeVariant kProbeScalar = {"probe_scalar", Isa::scalar, read_scalar, multiply_scalar};

}  // namespace gemlet
