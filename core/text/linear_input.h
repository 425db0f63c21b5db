// The input of matrix products: rows quantised as the weights want them, right after they are
// computed, while they lie in the nearest cache.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/linear/packed_rows.h"
#include "core/model/weights.h"
#include "core/text/workspace.h"
#include "core/threads/thread_pool.h"
#include "kernels/kernels.h"

namespace gemlet {

struct ProductObserver;

/// What every product needs: who computes, and where activations are quantised to.
struct Compute {
    const Kernels& kernels;
    ThreadPool& pool;
    Workspace& workspace;
    const ProductObserver* observer = nullptr;  // is shown every product; null in normal runs
};

/// The form in which a matrix wants its input.
struct InputForm {
    Family family = Family::in_float;
    WeightType streams = WeightType::f32;  // row integers: decides how columns are dealt to streams
    float input_scale = 0;

    bool operator==(const InputForm& other) const = default;
};

/// The form for `matrix`; float_activations: block formats are multiplied in float.
InputForm input_form(const Matrix& matrix, bool float_activations);

/// Input rows in one form. Of the three only what the family reads is set.
struct Activations {
    InputForm form;
    const float* x = nullptr;
    size_t x_stride = 0;  // elements
    RowActivations row{};
    BlockActivations block{};
};

/// Rows that one or several products share as input. Written row by row, by any worker:
///     float* to = input.row(i, worker);  ... k floats ...  input.finish_row(i, worker);
/// Lives in workspace.packed: the next input made takes its place.
class LinearInput {
  public:
    static constexpr size_t kMaxForms = 3;

    LinearInput() = default;
    /// Lays out m rows in every form that the users want; they have the same n_cols, and at most
    /// kMaxForms of them are given. Users that are not present are passed over.
    LinearInput(const Compute& compute, std::span<const Matrix* const> users, size_t m);

    /// Where to write the floats of a row. Valid until finish_row of the same worker.
    float* row(size_t row, size_t worker) const;
    /// Quantises what was written.
    void finish_row(size_t row, size_t worker) const;

    size_t n_cols() const { return k_; }
    /// The rows as the matrix wants them; it was one of the users.
    const Activations& form_for(const Matrix& matrix) const;

  private:
    const Compute* compute_ = nullptr;
    size_t k_ = 0;
    float* floats_ = nullptr;  // [m, k] where a form keeps floats, else null
    size_t n_forms_ = 0;
    std::array<Activations, kMaxForms> forms_;
};

/// Quantises m rows that exist already, x_stride in elements; float forms read x itself.
Activations quantise(const Compute& compute, const InputForm& form, const float* x, size_t x_stride,
                     size_t m, size_t k);

/// Most bytes of workspace.packed that m rows of k columns take in one form, whatever the weights.
size_t packed_activation_bytes(size_t m, size_t k);

/// Calls body(row, worker) for rows 0 .. n_rows - 1, in the caller when there are few.
template <class Body>
void for_rows(const Compute& compute, size_t n_rows, Body&& body) noexcept {
    constexpr size_t kRowsAtOnce = 4;
    compute.pool.parallel_for(n_rows, kRowsAtOnce,
                              [&body](size_t begin, size_t end, size_t worker) noexcept {
                                  for (size_t row = begin; row < end; ++row) body(row, worker);
                              });
}

}  // namespace gemlet
