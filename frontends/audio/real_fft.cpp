// Even and odd samples make the real and imaginary parts of 256 complex values; their transform is
// taken in four passes of radix 4 and then split into that of the real values. The passes write
// their results in order (Stockham's arrangement), which needs a second array but no reversal of
// bits, and leaves loops over neighbours that compilers turn into vectors.
// Cost: about 3000 multiplications for 512 values.
#include "frontends/audio/real_fft.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "core/status.h"

namespace gemlet::audio {

RealFft::RealFft() : values_(), next_() {
    for (size_t i = 0; i < kFftSize; ++i) {
        const double angle = 2 * std::numbers::pi * static_cast<double>(i) / kFftSize;
        cosine_[i] = std::cos(angle);
        sine_[i] = std::sin(angle);
    }
}

// values_ to its transform. A pass merges transforms of `stride` interleaved parts.
void RealFft::transform() {
    for (size_t stride = 1; stride < kHalf; stride *= 4) {
        const size_t quarter = kHalf / stride / 4;
        for (size_t group = 0; group < quarter; ++group) {
            const size_t turn = group * 2 * stride;  // of kFftSize
            const double c1 = cosine_[turn];
            const double s1 = sine_[turn];
            const double c2 = cosine_[2 * turn];
            const double s2 = sine_[2 * turn];
            const double c3 = cosine_[3 * turn];
            const double s3 = sine_[3 * turn];
            const size_t from = group * stride;
            const size_t leap = quarter * stride;
            double* const re = next_.re.data() + group * 4 * stride;
            double* const im = next_.im.data() + group * 4 * stride;
            for (size_t i = 0; i < stride; ++i) {
                const double* const a = values_.re.data() + from + i;
                const double* const b = values_.im.data() + from + i;
                const double even_re = a[0] + a[2 * leap];
                const double even_im = b[0] + b[2 * leap];
                const double odd_re = a[leap] + a[3 * leap];
                const double odd_im = b[leap] + b[3 * leap];
                const double left_re = a[0] - a[2 * leap];
                const double left_im = b[0] - b[2 * leap];
                const double turned_re = b[leap] - b[3 * leap];  // -i times the difference
                const double turned_im = a[3 * leap] - a[leap];
                re[i] = even_re + odd_re;
                im[i] = even_im + odd_im;
                const double x1 = left_re + turned_re;
                const double y1 = left_im + turned_im;
                re[stride + i] = x1 * c1 + y1 * s1;
                im[stride + i] = y1 * c1 - x1 * s1;
                const double x2 = even_re - odd_re;
                const double y2 = even_im - odd_im;
                re[2 * stride + i] = x2 * c2 + y2 * s2;
                im[2 * stride + i] = y2 * c2 - x2 * s2;
                const double x3 = left_re - turned_re;
                const double y3 = left_im - turned_im;
                re[3 * stride + i] = x3 * c3 + y3 * s3;
                im[3 * stride + i] = y3 * c3 - x3 * s3;
            }
        }
        std::swap(values_, next_);
    }
}

void RealFft::magnitudes(std::span<const float> samples, std::span<double> magnitudes) {
    GEMLET_ASSERT(samples.size() <= kFftSize && magnitudes.size() == kFftBins);
    values_.re.fill(0);
    values_.im.fill(0);
    for (size_t i = 0; i < samples.size(); ++i) {
        (i % 2 == 0 ? values_.re : values_.im)[i / 2] = static_cast<double>(samples[i]);
    }
    transform();
    for (size_t bin = 0; bin < kFftBins; ++bin) {
        const size_t here = bin % kHalf;
        const size_t mirror = (kHalf - here) % kHalf;
        const double even_re = (values_.re[here] + values_.re[mirror]) / 2;
        const double even_im = (values_.im[here] - values_.im[mirror]) / 2;
        const double odd_re = (values_.im[here] + values_.im[mirror]) / 2;
        const double odd_im = (values_.re[mirror] - values_.re[here]) / 2;
        const double re = even_re + odd_re * cosine_[bin] + odd_im * sine_[bin];
        const double im = even_im + odd_im * cosine_[bin] - odd_re * sine_[bin];
        magnitudes[bin] = std::sqrt(re * re + im * im);
    }
}

}  // namespace gemlet::audio
