// A row is written to a worker's scratch and quantised from there; where a product reads floats,
// the row is written to its place among them and other forms are quantised from that.
#include "core/text/linear_input.h"

#include <algorithm>

namespace gemlet {
namespace {

size_t align_up(size_t bytes) { return (bytes + kPlanAlign - 1) / kPlanAlign * kPlanAlign; }

/// Cuts buffers from workspace.packed.
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

void lay_out(Activations& out, Packing& packing, size_t m, size_t k) {
    if (out.form.family == Family::row_integer) {
        RowActivations& row = out.row;
        row.n_limbs = out.form.input_scale > 0 ? 1 : kFixedPointLimbs;
        row.stream_bytes = row_stream_bytes(out.form.streams, k);
        const size_t n_codes = m * row.n_limbs * row_streams(out.form.streams) * row.stream_bytes;
        row.codes = packing.take<int8_t>(n_codes);
        row.sums = packing.take<int32_t>(m * row.n_limbs);
        row.scale = packing.take<float>(m);
    } else if (out.form.family == Family::block) {
        out.block.codes = packing.take<int8_t>(m * k);
        out.block.scale = packing.take<float>(m * (k / kBlockGroup));
        out.block.sums = packing.take<int16_t>(m * (k / kBlockSum));
    }
}

void pack_row(const Kernels& kernels, const Activations& to, size_t row, const float* x, size_t k) {
    if (to.form.family == Family::row_integer) {
        kernels.matmul_row->pack({x, k, 1, k, to.form.streams, to.form.input_scale,
                                  from_row(to.row, to.form.streams, row)});
    } else if (to.form.family == Family::block) {
        kernels.matmul_block->pack({x, k, 1, k, from_row(to.block, k, row)});
    }
}

}  // namespace

InputForm input_form(const Matrix& matrix, bool float_activations) {
    if (matrix.row_scale != nullptr) {
        return {Family::row_integer, matrix.type, matrix.input_scale};
    }
    const bool block = weight_type_info(matrix.type).is_block && !float_activations;
    return {block ? Family::block : Family::in_float, WeightType::f32, 0};
}

RowActivations from_row(RowActivations x, WeightType type, size_t row) {
    x.codes += row * x.n_limbs * row_streams(type) * x.stream_bytes;
    x.sums += row * x.n_limbs;
    x.scale += row;
    return x;
}

BlockActivations from_row(BlockActivations x, size_t k, size_t row) {
    x.codes += row * k;
    x.scale += row * (k / kBlockGroup);
    x.sums += row * (k / kBlockSum);
    return x;
}

size_t packed_activation_bytes(size_t m, size_t k) {
    const size_t padded =
        (k + 4 * kRowStreamAlign - 1) / (4 * kRowStreamAlign) * 4 * kRowStreamAlign;
    const size_t row = m * kFixedPointLimbs * (padded + sizeof(int32_t)) + m * sizeof(float);
    const size_t block =
        m * (padded + padded / kBlockGroup * sizeof(float) + padded / kBlockSum * sizeof(int16_t));
    const size_t floats = m * k * sizeof(float);
    return std::max({row, block, floats}) + 4 * kPlanAlign;
}

LinearInput::LinearInput(const Compute& compute, std::span<const Matrix* const> users, size_t m)
    : compute_(&compute) {
    GEMLET_ASSERT(users.size() <= kMaxForms);
    Packing packing(compute.workspace.packed);
    for (const Matrix* user : users) {
        if (!user->present()) continue;
        k_ = user->n_cols;
        const InputForm form = input_form(*user, compute.workspace.shape.float_activations);
        const auto same = [&form](const Activations& other) { return other.form == form; };
        if (std::any_of(forms_.begin(), forms_.begin() + n_forms_, same)) continue;
        Activations& out = forms_[n_forms_++];
        out.form = form;
        lay_out(out, packing, m, k_);
        if (form.family == Family::in_float) {
            floats_ = packing.take<float>(m * k_);
            out.x = floats_;
            out.x_stride = k_;
        }
    }
}

float* LinearInput::row(size_t row, size_t worker) const {
    return floats_ != nullptr ? floats_ + row * k_ : compute_->workspace.row_scratch(worker);
}

void LinearInput::finish_row(size_t row, size_t worker) const {
    const float* x = this->row(row, worker);
    for (size_t i = 0; i < n_forms_; ++i) pack_row(compute_->kernels, forms_[i], row, x, k_);
}

const Activations& LinearInput::form_for(const Matrix& matrix) const {
    const InputForm form = input_form(matrix, compute_->workspace.shape.float_activations);
    size_t i = 0;
    while (i + 1 < n_forms_ && forms_[i].form != form) ++i;
    GEMLET_ASSERT(forms_[i].form == form);
    return forms_[i];
}

Activations quantise(const Compute& compute, const InputForm& form, const float* x, size_t x_stride,
                     size_t m, size_t k) {
    Activations out;
    out.form = form;
    out.x = x;
    out.x_stride = x_stride;
    Packing packing(compute.workspace.packed);
    lay_out(out, packing, m, k);
    if (form.family != Family::in_float) {
        for_rows(compute, m, [&](size_t row, size_t) {
            pack_row(compute.kernels, out, row, x + row * x_stride, k);
        });
    }
    return out;
}

}  // namespace gemlet
