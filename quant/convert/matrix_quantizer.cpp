// A panel is as many rows as fit a few megabytes of floats.
#include "quant/convert/matrix_quantizer.h"

#include <algorithm>

#include "core/files/mapped_file.h"
#include "quant/convert/linear_algebra.h"
#include "quant/formats/dequantize.h"
#include "quant/formats/fit.h"
#include "quant/formats/quantize.h"
#include "quant/formats/row_codes.h"
#include "quant/formats/unpack_codes.h"

namespace gemlet {
namespace {

constexpr size_t kPanelFloats = size_t{3} << 20U;

bool is_row_integer(WeightType type) {
    return type == WeightType::i2r || type == WeightType::i4r || type == WeightType::i8r;
}

/// Buffers of a panel.
struct Panel {
    size_t n_rows = 0;
    std::vector<float> weights;  // [n_rows, k]
    std::vector<uint8_t> bytes;  // [n_rows, row_bytes]
    std::vector<float> scales;   // [n_rows] of per-row integers
    std::vector<int8_t> codes;   // [n_rows, k]
};

/// Rounds one row of per-row integers with the scale of its largest magnitude.
float round_codes(WeightType type, const float* x, size_t k, int8_t* codes) {
    float largest = 0;
    for (size_t i = 0; i < k; ++i) largest = std::max(largest, std::abs(x[i]));
    const float half = type == WeightType::i2r ? 2.0F : type == WeightType::i4r ? 8.0F : 128.0F;
    const float scale = std::max(largest / (half - 0.5F), 1e-30F);
    for (size_t i = 0; i < k; ++i) {
        codes[i] = static_cast<int8_t>(nearest_view_code(type, x[i] / scale));
    }
    return scale;
}

class Work {
  public:
    Work(const MatrixJob& job, ThreadPool& pool)
        : job_(job),
          pool_(pool),
          k_(job.source.n_cols),
          out_row_bytes_(row_bytes(job.type, job.source.n_cols)),
          ones_(job.source.n_cols, 1.0F) {}

    Status run(const PanelSink& sink) {
        const size_t most = std::clamp<size_t>(kPanelFloats / k_, 16, 4096);
        for (size_t first = 0; first < job_.source.n_rows; first += most) {
            panel_.n_rows = std::min(most, job_.source.n_rows - first);
            load(first);
            quantise();
            GEMLET_TRY(sink(first, panel_.n_rows,
                            std::span(panel_.bytes).first(panel_.n_rows * out_row_bytes_),
                            std::span(panel_.scales).first(panel_.n_rows)));
        }
        return {};
    }

  private:
    template <class Body>
    void for_rows(Body&& body) {
        pool_.parallel_for(panel_.n_rows, 4, [&](size_t from, size_t to, size_t) noexcept {
            for (size_t row = from; row < to; ++row) body(row);
        });
    }

    void load(size_t first) {
        panel_.weights.resize(panel_.n_rows * k_);
        panel_.bytes.resize(panel_.n_rows * out_row_bytes_);
        panel_.scales.resize(panel_.n_rows);
        const Matrix part = job_.source.rows(first, panel_.n_rows);
        for_rows([&](size_t row) {
            dequantize_row(part.type, part.data + row * part.row_stride_bytes, k_,
                           panel_.weights.data() + row * k_);
        });
        advise({part.data, part.bytes()}, Access::not_needed);
        if (feeds_back() && !job_.inputs.moments->drift.empty()) make_up_for_drift();
    }

    void make_up_for_drift() {
        const std::vector<float> plain = panel_.weights;
        add_product({plain.data(), k_, job_.inputs.moments->drift.data(), k_, panel_.weights.data(),
                     k_, panel_.n_rows, k_, k_});
    }

    void quantise() {
        if (is_row_integer(job_.type)) {
            quantise_row_integers();
        } else if (job_.method == Method::round || !can_fit(job_.type)) {
            for_rows([&](size_t row) {
                const float* x = panel_.weights.data() + row * k_;
                uint8_t* to = panel_.bytes.data() + row * out_row_bytes_;
                if (!quantize_row(job_.type, x, k_, to)) fit_row(job_.type, x, nullptr, k_, to);
            });
        } else {
            for_rows([&](size_t row) {
                fit_row(job_.type, panel_.weights.data() + row * k_, importance(), k_,
                        panel_.bytes.data() + row * out_row_bytes_);
            });
            if (feeds_back()) compensate_blocks();
        }
    }

    bool feeds_back() const {
        return job_.method == Method::gptq && job_.inputs.moments != nullptr;
    }

    const float* importance() const {
        return job_.inputs.squares.empty() ? nullptr : job_.inputs.squares.data();
    }

    void compensate_blocks() {
        const size_t n_groups = (k_ + kCodeGroup - 1) / kCodeGroup;
        panel_.codes.resize(panel_.n_rows * k_);
        std::vector<float> scales(panel_.n_rows * n_groups);
        std::vector<float> mins(panel_.n_rows * n_groups);
        for_rows([&](size_t row) {
            unpack_codes(job_.type, panel_.bytes.data() + row * out_row_bytes_, k_,
                         panel_.codes.data() + row * k_, scales.data() + row * n_groups,
                         mins.data() + row * n_groups);
        });
        CodePanel panel{job_.type,
                        panel_.n_rows,
                        k_,
                        kCodeGroup,
                        panel_.weights.data(),
                        panel_.codes.data(),
                        scales.data(),
                        has_mins(job_.type) ? mins.data() : nullptr};
        compensate(*job_.inputs.moments, pool_, panel);
        for_rows([&](size_t row) {
            store_codes(job_.type, panel_.codes.data() + row * k_, k_,
                        panel_.bytes.data() + row * out_row_bytes_);
        });
    }

    void quantise_row_integers() {
        panel_.codes.resize(panel_.n_rows * k_);
        const float* weighting = importance() != nullptr ? importance() : ones_.data();
        for_rows([&](size_t row) {
            const float* x = panel_.weights.data() + row * k_;
            int8_t* codes = panel_.codes.data() + row * k_;
            panel_.scales[row] = job_.method == Method::round
                                     ? round_codes(job_.type, x, k_, codes)
                                     : fit_codes(job_.type, x, weighting, k_, codes);
        });
        if (feeds_back()) {
            CodePanel panel{job_.type,           panel_.n_rows,       k_, k_, panel_.weights.data(),
                            panel_.codes.data(), panel_.scales.data()};
            compensate(*job_.inputs.moments, pool_, panel);
        }
        for_rows([&](size_t row) {
            pack_codes(job_.type, panel_.codes.data() + row * k_, k_,
                       panel_.bytes.data() + row * out_row_bytes_);
        });
    }

    const MatrixJob& job_;
    ThreadPool& pool_;
    size_t k_;
    size_t out_row_bytes_;
    std::vector<float> ones_;
    Panel panel_;
};

}  // namespace

Status quantize_matrix(const MatrixJob& job, ThreadPool& pool, const PanelSink& sink) {
    if (!can_quantize(job.type) && !can_fit(job.type) && !is_row_integer(job.type)) {
        return {StatusCode::unsupported, "weights of this type cannot be written",
                weight_type_info(job.type).name};
    }
    return Work(job, pool).run(sink);
}

}  // namespace gemlet
