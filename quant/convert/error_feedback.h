// Error-compensated rounding of a panel of weight rows, given the Gram matrix of the inputs that
// the weights meet. Rounding one weight leaves an error in the layer's output; weights that are
// rounded later make up for what of it they can, because inputs are correlated.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/threads/thread_pool.h"
#include "quant/formats/weight_type.h"

namespace gemlet {

/// The inputs' second moments, prepared for rounding: h [k, k] damped, both triangles.
struct InputMoments {
    size_t k = 0;
    std::vector<float> gram;      // [k, k]; both triangles once prepared
    std::vector<float> diagonal;  // [k] before damping: importance of each column
    std::vector<uint32_t> order;  // [k] columns by falling importance
    std::vector<float> factor;    // [k, k] of factor_in_order
    std::vector<float> drift;     // [k, k] sum of (exact input - input)^T input, or empty

    bool present() const { return k != 0; }
};

/// Widest input for which drift is gathered and made up for: its cost grows with the cube.
constexpr size_t kWidestDrift = 4096;

/// Takes a Gram matrix (lower triangle) and factors it, dead inputs and noise damped: a share
/// `damping` of the mean diagonal is added to the diagonal, more where that does not suffice. With
/// `keep_gram` false the Gram matrix is given up, which saves its memory and the second pass.
/// Returns false where the matrix cannot be used (not finite). `drift` becomes what makes up for
/// it: rows w of a matrix become w + w drift, whose outputs on the drifted inputs are nearest to
/// those of w on the exact ones (ridge regression). Source: Arai and Ichikawa 2025 (QEP).
bool prepare_moments(InputMoments& moments, float damping, bool keep_gram);

/// Codes of a panel and the grid they live on: weight = scale * code - min.
struct CodePanel {
    WeightType type;
    size_t n_rows = 0;
    size_t n_cols = 0;
    size_t group = 16;            // columns that share a scale; n_cols: one scale per row
    const float* weights;         // [n_rows, n_cols]
    int8_t* codes;                // [n_rows, n_cols] in and out
    float* scales;                // [n_rows, ceil(n_cols / group)]
    const float* mins = nullptr;  // same shape, or null: none

    size_t n_groups() const { return (n_cols + group - 1) / group; }
};

/// Chooses the codes again such that (w - q)^T h (w - q) is small for every row, scales as they
/// are. First in the order of importance with feedback of the errors made (GPTQ's solution by
/// another factorization); then, where the Gram matrix was kept, by single changes that lower the
/// error, and for one scale per row by solving for the scale in between. Source: Frantar et al.
/// 2022 (GPTQ); Chee et al. 2023 (QuIP), section 3 for the form used here.
void compensate(const InputMoments& moments, ThreadPool& pool, CodePanel& panel);

}  // namespace gemlet
