// Where the quantised input rows of a matrix product lie in a buffer: the same for the text decoder
// and the encoders.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/memory/plan.h"
#include "kernels/kernels.h"

namespace gemlet {

/// The kernels that a matrix is multiplied with, and so the form of its input.
enum class Family : uint8_t { in_float, row_integer, block };

/// Rounds up to what every buffer is aligned to.
constexpr size_t align_up(size_t bytes) {
    return (bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign;
}

/// Cuts aligned arrays from memory that is large enough, one behind the other.
class Packing {
  public:
    explicit Packing(uint8_t* memory) : memory_(memory) {}

    template <class T>
    T* take(size_t count) {
        T* out = reinterpret_cast<T*>(memory_);
        memory_ += align_up(count * sizeof(T));
        return out;
    }

  private:
    uint8_t* memory_;
};

/// Places for m rows of k columns. streams: the weight type, which decides how columns are dealt.
RowActivations lay_out_rows(Packing& packing, WeightType streams, size_t n_limbs, size_t m,
                            size_t k);
BlockActivations lay_out_blocks(Packing& packing, size_t m, size_t k);

/// The same rows from a later one on.
RowActivations from_row(RowActivations x, WeightType streams, size_t row);
BlockActivations from_row(BlockActivations x, size_t k, size_t row);

/// Most bytes that m rows of k columns take in either form, whatever the weights.
size_t packed_row_bytes(size_t m, size_t k);

}  // namespace gemlet
