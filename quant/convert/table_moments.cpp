// An embedding row has no inputs to calibrate with, but its error e goes into the residual stream,
// where every reader computes W (g * (x + e)): the damage is e^T (g W^T W g) e. Later layers read
// the same directions through a stream that holds more and more else; four were as good as all
// when this was measured. The per-layer projection, whose result all layers see, counts twice.
#include "quant/convert/table_moments.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/files/mapped_file.h"
#include "quant/convert/linear_algebra.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr size_t kReadingLayers = 4;
constexpr size_t kPanelRows = 256;
constexpr float kContextShare = 2;

/// Adds share * (g W^T W g) / trace to the lower triangle of `moments`; norm may be null.
void add_reader(const Matrix& matrix, const float* norm, float share, InputMoments& moments) {
    if (!matrix.present()) return;
    const size_t d = moments.k;
    std::vector<float> gram(d * d);
    std::vector<float> panel(kPanelRows * d);
    for (size_t first = 0; first < matrix.n_rows; first += kPanelRows) {
        const size_t n = std::min(kPanelRows, matrix.n_rows - first);
        const Matrix part = matrix.rows(first, n);
        for (size_t row = 0; row < n; ++row) {
            float* to = panel.data() + row * d;
            dequantize_row(part.type, part.data + row * part.row_stride_bytes, d, to);
            for (size_t i = 0; norm != nullptr && i < d; ++i) to[i] *= norm[i];
        }
        advise({part.data, part.bytes()}, Access::not_needed);
        add_gram(panel.data(), d, n, d, gram.data());
    }
    double trace = 0;
    for (size_t i = 0; i < d; ++i) trace += static_cast<double>(gram[i * d + i]);
    if (!(trace > 0)) return;
    const float factor = share / static_cast<float>(trace);
    for (size_t i = 0; i < d * d; ++i) moments.gram[i] += factor * gram[i];
}

}  // namespace

InputMoments embedding_moments(const ModelConfig& config, const TextWeights& weights) {
    InputMoments moments;
    if (!have_linear_algebra()) return moments;
    moments.k = config.d_model;
    moments.gram.resize(moments.k * moments.k);
    for (size_t i = 0; i < std::min(kReadingLayers, config.n_layers); ++i) {
        const LayerWeights& layer = weights.layers[i];
        for (const Matrix* matrix : {&layer.q, &layer.k, &layer.v}) {
            add_reader(*matrix, layer.input_norm, 1, moments);
        }
        for (const Matrix* matrix : {&layer.gate, &layer.up}) {
            add_reader(*matrix, layer.pre_ffn_norm, 1, moments);
        }
        add_reader(layer.ple_gate, nullptr, 1, moments);
    }
    const float share = kContextShare * static_cast<float>(config.n_layers);
    add_reader(weights.ple_context, nullptr, share, moments);
    return moments;
}

}  // namespace gemlet
