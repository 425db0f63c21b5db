// What kernel tests share: buffers that end at an inaccessible page, canaries around outputs, a
// fixed pseudo-random source and the list of variants to run.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/isa.h"

namespace gemlet::test {

/// Memory for n elements whose last byte is the last one before a PROT_NONE page: reading or
/// writing one byte further is a fault. Starts filled with `fill`. The start is aligned only as
/// far as n * sizeof(T) is a multiple of the alignment wanted.
template <class T>
class GuardedBuffer {
  public:
    explicit GuardedBuffer(size_t n, uint8_t fill = 0) : n_(n) {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        usable_bytes_ = (n * sizeof(T) + page - 1) / page * page;
        mapped_bytes_ = usable_bytes_ + page;
        base_ = static_cast<uint8_t*>(mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (base_ == MAP_FAILED || mprotect(base_ + usable_bytes_, page, PROT_NONE) != 0) abort();
        if (n > 0) memset(data(), fill, n * sizeof(T));
    }
    ~GuardedBuffer() { munmap(base_, mapped_bytes_); }
    GuardedBuffer(const GuardedBuffer&) = delete;
    GuardedBuffer& operator=(const GuardedBuffer&) = delete;

    T* data() { return reinterpret_cast<T*>(base_ + usable_bytes_ - n_ * sizeof(T)); }
    const T* data() const {
        return reinterpret_cast<const T*>(base_ + usable_bytes_ - n_ * sizeof(T));
    }
    size_t size() const { return n_; }
    T& operator[](size_t i) { return data()[i]; }
    const T& operator[](size_t i) const { return data()[i]; }
    std::span<T> span() { return {data(), n_}; }
    std::span<const T> span() const { return {data(), n_}; }

  private:
    size_t n_;
    size_t usable_bytes_ = 0;
    size_t mapped_bytes_ = 0;
    uint8_t* base_ = nullptr;
};

constexpr uint32_t kCanaryBits = 0x7FA5C3E1;  // a NaN no kernel computes

inline float canary() {
    float value = 0.0F;
    memcpy(&value, &kCanaryBits, sizeof(value));
    return value;
}
inline bool is_canary(float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    return bits == kCanaryBits;
}
/// Bits of a float: -0 differs from 0, a NaN equals itself.
inline uint32_t float_bits(float value) {
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

/// Fixed-seed source; say the seed in SCOPED_TRACE.
class Random {
  public:
    explicit Random(uint32_t seed) : engine_(seed) {}
    float uniform(float low, float high) {
        return low + (high - low) * static_cast<float>(engine_() >> 8) * 0x1p-24F;
    }
    uint8_t byte() { return static_cast<uint8_t>(engine_() >> 24); }
    size_t below(size_t n) { return engine_() % n; }

  private:
    std::mt19937 engine_;
};

/// A variant under test. An emulated one needs AVX2 instead of its own instruction set.
template <class Variant>
struct TestedVariant {
    const Variant* variant;
    bool emulated;

    bool runs_here() const { return detect_isas().has(emulated ? Isa::avx2 : variant->isa); }
    /// Name in test lists: the instruction set, with "_emulated".
    std::string name() const {
        return std::string(isa_name(variant->isa)) + (emulated ? "_emulated" : "");
    }
};

/// All variants built in, then the emulated ones.
template <class Variant>
std::vector<TestedVariant<Variant>> tested_variants(std::span<const Variant* const> built_in,
                                                    std::vector<const Variant*> emulated) {
    std::vector<TestedVariant<Variant>> all;
    for (const Variant* variant : built_in) all.push_back({variant, false});
    for (const Variant* variant : emulated) all.push_back({variant, true});
    return all;
}

/// For the first line of a parameterized test body.
#define GEMLET_SKIP_UNLESS_RUNS(tested)                             \
    if (!(tested).runs_here()) {                                    \
        GTEST_SKIP() << (tested).name() << ": not on this machine"; \
    }

}  // namespace gemlet::test
