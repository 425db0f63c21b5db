// Binary Netpbm: grey (P5) and RGB (P6), samples of 8 or 16 bits. Needs no library, so that every
// build reads a format that any program can write. The header is text: magic, width, height and the
// largest sample, between them blanks and comments ("#" to the end of the line), then exactly one
// blank before the samples. What follows them (Netpbm allows more pictures) is not looked at.
// Source: the manual pages pgm(5) and ppm(5); samples are scaled to 255 as Pillow does.
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "Netpbm";

Status ends_early() {
    return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
}

bool is_blank(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// Reads the numbers of the header from bytes[at ..).
class HeaderReader {
  public:
    HeaderReader(std::span<const uint8_t> bytes, size_t at) : bytes_(bytes), at_(at) {}

    size_t at() const { return at_; }

    Result<uint64_t> number() {
        skip_blanks();
        uint64_t value = 0;
        const size_t begin = at_;
        for (; at_ < bytes_.size() && bytes_[at_] >= '0' && bytes_[at_] <= '9'; ++at_) {
            value = value * 10 + (bytes_[at_] - uint64_t{'0'});
            if (value > kLargest) return damaged();
        }
        if (at_ == bytes_.size()) return ends_early();  // even the last has a blank behind it
        return at_ > begin ? Result<uint64_t>(value) : damaged();
    }

    // The blank in front of the samples.
    Status step_over_blank() {
        if (!is_blank(bytes_[at_])) return damaged();
        ++at_;
        return {};
    }

  private:
    static constexpr uint64_t kLargest = 0xFFFFFFFF;

    static Status damaged() { return {StatusCode::corrupt, "the picture has no header", kFormat}; }

    void skip_blanks() {
        bool is_comment = false;
        for (; at_ < bytes_.size(); ++at_) {
            const uint8_t byte = bytes_[at_];
            if (byte == '\n' || byte == '\r') is_comment = false;
            if (byte == '#') is_comment = true;
            if (!is_comment && !is_blank(byte)) return;
        }
    }

    std::span<const uint8_t> bytes_;
    size_t at_;
};

// Scales samples of `width_bytes` bytes, the high one first, so that `largest` becomes 255; grey is
// replicated. Returns whether no sample was larger than that.
bool read_samples(const uint8_t* src, size_t width_bytes, uint32_t largest, size_t n_copies,
                  std::vector<uint8_t>& out) {
    uint32_t greatest = 0;
    for (size_t i = 0; i < out.size(); i += n_copies, src += width_bytes) {
        uint32_t sample = src[0];
        if (width_bytes == 2) sample = sample << 8U | src[1];
        greatest = sample > greatest ? sample : greatest;
        const auto byte = static_cast<uint8_t>((sample * 255U + largest / 2) / largest);
        for (size_t c = 0; c < n_copies; ++c) out[i + c] = byte;
    }
    return greatest <= largest;
}

}  // namespace

Result<StoredPicture> read_netpbm(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    if (bytes.size() < 3) return ends_early();
    const size_t n_stored = bytes[1] == '6' ? 3 : 1;  // samples of a pixel
    HeaderReader header(bytes, 2);
    const Result<uint64_t> width = header.number();
    GEMLET_TRY(width);
    const Result<uint64_t> height = header.number();
    GEMLET_TRY(height);
    const Result<uint64_t> largest = header.number();
    GEMLET_TRY(largest);
    GEMLET_TRY(header.step_over_blank());
    GEMLET_TRY(check_picture_size(*width, *height, limits, kFormat));
    if (*largest == 0 || *largest > 0xFFFF) {
        return Status(StatusCode::corrupt, "largest sample out of range", kFormat,
                      static_cast<int64_t>(*largest));
    }
    const size_t width_bytes = *largest > 255 ? 2 : 1;
    // The limits may be the caller's, so the product is not known to fit.
    const uint64_t n_left = bytes.size() - header.at();
    if (*width > n_left / (n_stored * width_bytes) / *height) return ends_early();
    StoredPicture picture;
    picture.width = *width;
    picture.height = *height;
    picture.pixels.resize(picture.width * picture.height * 3);
    if (!read_samples(bytes.data() + header.at(), width_bytes, static_cast<uint32_t>(*largest),
                      3 / n_stored, picture.pixels)) {
        return Status(StatusCode::corrupt, "a sample is larger than the largest", kFormat);
    }
    return picture;
}

}  // namespace gemlet::image
