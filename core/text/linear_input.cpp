// A row is written to a worker's scratch and quantised from there; where a product reads floats,
// the row is written to its place among them and other forms are quantised from that.
#include "core/text/linear_input.h"

#include <algorithm>

namespace gemlet {
namespace {

void lay_out(Activations& out, Packing& packing, size_t m, size_t k) {
    if (out.form.family == Family::row_integer) {
        const size_t n_limbs = out.form.input_scale > 0 ? 1 : kFixedPointLimbs;
        out.row = lay_out_rows(packing, out.form.streams, n_limbs, m, k);
    } else if (out.form.family == Family::block) {
        out.block = lay_out_blocks(packing, m, k);
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

size_t packed_activation_bytes(size_t m, size_t k) {
    return std::max(packed_row_bytes(m, k), m * k * sizeof(float) + kPlanAlign);
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
