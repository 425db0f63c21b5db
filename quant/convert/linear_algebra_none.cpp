// Built without GEMLET_QUANT: nothing here is ever called, since have_linear_algebra says so.
#include "quant/convert/linear_algebra.h"

namespace gemlet {

bool have_linear_algebra() { return false; }
void add_gram(const float* /*x*/, size_t /*x_stride*/, size_t /*m*/, size_t /*k*/,
              float* /*gram*/) {}
void add_cross(const float* /*a*/, size_t /*a_stride*/, const float* /*b*/, size_t /*b_stride*/,
               size_t /*m*/, size_t /*k*/, float* /*c*/) {}
bool solve_right(const float* /*h*/, size_t /*k*/, float* /*x*/) { return false; }
void mirror_lower(float* /*matrix*/, size_t /*k*/) {}
void add_product(const Product& /*product*/) {}
bool factor_in_order(const float* /*h*/, size_t /*k*/, std::span<const uint32_t> /*order*/,
                     float* /*factor*/) {
    return false;
}

}  // namespace gemlet
