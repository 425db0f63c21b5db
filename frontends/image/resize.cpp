// Cubic scaling on bytes, bit for bit as torchvision's: weights are rounded to 16 bits with as many
// fractional bits as the largest of an axis allows, sums are taken in 32 bits, and what comes out
// of the first pass is rounded to bytes again. Since integer sums have no order, ours can be
// another one: both passes are the same loop over 16 neighbouring bytes (weigh), which compilers
// turn into vectors. For the pass along rows the picture is turned over in bands of 16 rows, so
// that the bytes of a column are neighbours; that costs as much as the sums, and still pays.
#include "frontends/image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace gemlet::image {
namespace {

constexpr size_t kLanes = 16;
constexpr size_t kChannels = 3;
constexpr int kMaxFractionBits = 22;

// Which source samples make one sample of the result.
struct Reach {
    size_t first;
    size_t n_taps;
    size_t weights_at;  // in Axis::weights
};

struct Axis {
    std::vector<Reach> reaches;  // [n_out]
    std::vector<int16_t> weights;
    int fraction_bits = 0;
};

double cubic(double t) {
    t = std::abs(t);
    if (t < 1.0) return (1.5 * t - 2.5) * t * t + 1.0;
    if (t < 2.0) return (((t - 5.0) * t + 8.0) * t - 4.0) * -0.5;
    return 0.0;
}

// The order of operations is the reference's throughout.
Axis axis_of(size_t n_in, size_t n_out) {
    const double scale = static_cast<double>(n_in) / static_cast<double>(n_out);
    const double stretch = std::max(scale, 1.0);
    const double reach = 2.0 * stretch;
    Axis axis;
    axis.reaches.reserve(n_out);
    std::vector<double> weights;
    double largest = 0;
    for (size_t i = 0; i < n_out; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * scale;
        const double end = center + reach + 0.5;
        const auto first = static_cast<size_t>(std::max(center - reach + 0.5, 0.0));
        const size_t last = std::min(static_cast<size_t>(end), n_in);
        const size_t at = weights.size();
        double sum = 0;
        for (size_t j = first; j < last; ++j) {
            weights.push_back(cubic((static_cast<double>(j) - center + 0.5) / stretch));
            sum += weights.back();
        }
        for (size_t j = at; j < weights.size(); ++j) {
            weights[j] /= sum;
            largest = std::max(largest, weights[j]);
        }
        axis.reaches.push_back({first, last - first, at});
    }
    int bits = 0;
    while (bits < kMaxFractionBits && std::ldexp(largest, bits + 1) + 0.5 < 32768.0) ++bits;
    axis.fraction_bits = bits;
    axis.weights.resize(weights.size());
    std::transform(weights.begin(), weights.end(), axis.weights.begin(), [bits](double weight) {
        return static_cast<int16_t>(std::ldexp(weight, bits) + (weight < 0 ? -0.5 : 0.5));
    });
    return axis;
}

// out[i] = the weighted sum of src[i], src[stride + i], src[2 * stride + i] .. for 16 neighbours.
// The sum fits: |weights| of a cubic add up to less than 1.5, times 255 and 2^22.
void weigh(const uint8_t* src, size_t stride, const int16_t* weights, size_t n_taps,
           int fraction_bits, uint8_t* out) {
    int32_t sums[kLanes];
    std::fill_n(sums, kLanes, int32_t{1} << (fraction_bits - 1));
    for (size_t j = 0; j < n_taps; ++j) {
        const int16_t weight = weights[j];
        for (size_t i = 0; i < kLanes; ++i) {
            const int16_t sample = src[j * stride + i];
            sums[i] += sample * weight;
        }
    }
    for (size_t i = 0; i < kLanes; ++i) {
        out[i] = static_cast<uint8_t>(std::clamp(sums[i] >> fraction_bits, 0, 255));
    }
}

// Turns n_rows rows of bytes into columns of 16: out[column * 16 + row]; missing rows stay as they
// are.
void rows_to_columns(const uint8_t* rows, size_t row_bytes, size_t n_rows, uint8_t* out) {
    constexpr size_t kBlock = 64;  // columns: the writes of a block stay in the first cache
    for (size_t x0 = 0; x0 < row_bytes; x0 += kBlock) {
        const size_t x1 = std::min(x0 + kBlock, row_bytes);
        for (size_t y = 0; y < n_rows; ++y) {
            const uint8_t* row = rows + y * row_bytes;
            for (size_t x = x0; x < x1; ++x) out[x * kLanes + y] = row[x];
        }
    }
}

void columns_to_rows(const uint8_t* columns, size_t row_bytes, size_t n_rows, uint8_t* out) {
    for (size_t y = 0; y < n_rows; ++y) {
        for (size_t x = 0; x < row_bytes; ++x) {
            out[y * row_bytes + x] = columns[x * kLanes + y];
        }
    }
}

Picture resize_rows(const Picture& picture, size_t width) {
    const Axis axis = axis_of(picture.width, width);
    const size_t src_bytes = picture.width * kChannels;
    const size_t out_bytes = width * kChannels;
    Picture out = {width, picture.height, std::vector<uint8_t>(picture.height * out_bytes)};
    std::vector<uint8_t> columns(src_bytes * kLanes);  // [picture.width, 3, 16]
    std::vector<uint8_t> sums(out_bytes * kLanes);     // [width, 3, 16]
    for (size_t y = 0; y < picture.height; y += kLanes) {
        const size_t n_rows = std::min(kLanes, picture.height - y);
        rows_to_columns(picture.pixels.data() + y * src_bytes, src_bytes, n_rows, columns.data());
        for (size_t x = 0; x < width; ++x) {
            const Reach& reach = axis.reaches[x];
            for (size_t c = 0; c < kChannels; ++c) {
                weigh(columns.data() + (reach.first * kChannels + c) * kLanes, kChannels * kLanes,
                      axis.weights.data() + reach.weights_at, reach.n_taps, axis.fraction_bits,
                      sums.data() + (x * kChannels + c) * kLanes);
            }
        }
        columns_to_rows(sums.data(), out_bytes, n_rows, out.pixels.data() + y * out_bytes);
    }
    return out;
}

Picture resize_columns(const Picture& picture, size_t height) {
    const Axis axis = axis_of(picture.height, height);
    const size_t row_bytes = picture.width * kChannels;
    Picture out = {picture.width, height, std::vector<uint8_t>(height * row_bytes)};
    const size_t whole_bytes = row_bytes / kLanes * kLanes;
    for (size_t y = 0; y < height; ++y) {
        const Reach& reach = axis.reaches[y];
        const uint8_t* src = picture.pixels.data() + reach.first * row_bytes;
        const int16_t* weights = axis.weights.data() + reach.weights_at;
        uint8_t* row = out.pixels.data() + y * row_bytes;
        for (size_t x = 0; x < whole_bytes; x += kLanes) {
            weigh(src + x, row_bytes, weights, reach.n_taps, axis.fraction_bits, row + x);
        }
        for (size_t x = whole_bytes; x < row_bytes; ++x) {
            int32_t sum = int32_t{1} << (axis.fraction_bits - 1);
            for (size_t j = 0; j < reach.n_taps; ++j) sum += weights[j] * src[j * row_bytes + x];
            row[x] = static_cast<uint8_t>(std::clamp(sum >> axis.fraction_bits, 0, 255));
        }
    }
    return out;
}

}  // namespace

Result<PictureSize> target_size(PictureSize size, size_t budget) {
    if (std::find(kBudgets.begin(), kBudgets.end(), budget) == kBudgets.end()) {
        return Status(StatusCode::bad_argument,
                      "the budget of soft tokens must be 70, 140, 280, 560 or 1120", "budget",
                      static_cast<int64_t>(budget));
    }
    if (size.width == 0 || size.height == 0) {
        return Status(StatusCode::bad_argument, "the picture has a side of 0 pixels");
    }
    constexpr double kSide = kTokenSide;
    const size_t most_pixels = budget * kTokenSide * kTokenSide;
    const size_t longest = budget * kTokenSide;
    const auto width = static_cast<double>(size.width);
    const auto height = static_cast<double>(size.height);
    const double factor =
        std::sqrt(static_cast<double>(most_pixels) / static_cast<double>(size.width * size.height));
    const auto rounded = [&](double side) {
        return static_cast<size_t>(factor * side / kSide) * kTokenSide;
    };
    const auto stretched = [&](double ratio) {
        return std::min(static_cast<size_t>(ratio) * kTokenSide, longest);
    };
    PictureSize target = {rounded(width), rounded(height)};
    if (target.height == 0) {
        target = {stretched(width / height), kTokenSide};
    } else if (target.width == 0) {
        target = {kTokenSide, stretched(height / width)};
    }
    GEMLET_ASSERT(target.width * target.height <= most_pixels);
    return target;
}

Picture resize(const Picture& picture, PictureSize size) {
    if (size.width == picture.width) {
        return size.height == picture.height ? picture : resize_columns(picture, size.height);
    }
    Picture wide = resize_rows(picture, size.width);
    return size.height == picture.height ? std::move(wide) : resize_columns(wide, size.height);
}

}  // namespace gemlet::image
