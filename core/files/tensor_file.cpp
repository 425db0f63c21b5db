// Shared by both checkpoint formats: sizes of plain types, tensors sorted by name for look-ups.
#include "core/files/tensor_file.h"

#include <algorithm>

namespace gemlet {

size_t TensorView::n_elements() const {
    size_t n = 1;
    for (size_t i = 0; i < n_dims; ++i) n *= shape[i];
    return n;
}

size_t raw_type_bytes(RawType type) {
    switch (type) {
        case RawType::weight:
            break;
        case RawType::i8:
        case RawType::u8:
        case RawType::boolean:
            return 1;
        case RawType::i16:
        case RawType::u16:
            return 2;
        case RawType::i32:
        case RawType::u32:
            return 4;
        case RawType::i64:
        case RawType::u64:
        case RawType::f64:
            return 8;
    }
    GEMLET_ASSERT(false);  // weight types have a table of their own
    return 0;
}

Status sort_by_name(std::vector<TensorView>& tensors) {
    std::sort(tensors.begin(), tensors.end(),
              [](const TensorView& a, const TensorView& b) { return a.name < b.name; });
    const auto twice = std::adjacent_find(
        tensors.begin(), tensors.end(),
        [](const TensorView& a, const TensorView& b) { return a.name == b.name; });
    if (twice == tensors.end()) return {};
    return {StatusCode::corrupt, "two tensors have this name", twice->name};
}

const TensorView* find_tensor(std::span<const TensorView> sorted, std::string_view name) {
    const auto at = std::lower_bound(sorted.begin(), sorted.end(), name,
                                     [](const TensorView& tensor, std::string_view wanted) {
                                         return std::string_view(tensor.name) < wanted;
                                     });
    return at != sorted.end() && at->name == name ? &*at : nullptr;
}

}  // namespace gemlet
