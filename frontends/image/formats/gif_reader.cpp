// GIF: the first picture of the file; what moves after it is not looked at. Needs no library. The
// picture is a rectangle on a screen; what it leaves free is the transparent colour, or else the
// first, as in Pillow. Its data is LZW: codes that grow from one bit more than a pixel to 12, each
// standing for a run of pixels that is a known run and one pixel more.
// Source: CompuServe, "Graphics Interchange Format, Version 89a" (1990), appendix F for LZW.
#include <array>
#include <optional>

#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "GIF";
constexpr unsigned kLongestCode = 12;
constexpr size_t kMostCodes = size_t{1} << kLongestCode;
constexpr uint32_t kNone = 0xFFFF;  // no code, and no colour

Status ends_early() {
    return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
}
Status damaged() { return {StatusCode::corrupt, "the picture contradicts its format", kFormat}; }

/// Bytes of the file, in order; 0 behind the end, which `ok` tells.
class Reader {
  public:
    explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    uint8_t byte() {
        ok_ = ok_ && at_ < bytes_.size();
        return ok_ ? bytes_[at_++] : uint8_t{0};
    }
    size_t u16() {
        const size_t low = byte();
        return low | size_t{byte()} << 8U;
    }
    std::span<const uint8_t> take(size_t n) {
        ok_ = ok_ && n <= bytes_.size() - at_;
        if (!ok_) return {};
        at_ += n;
        return bytes_.subspan(at_ - n, n);
    }
    bool ok() const { return ok_; }

  private:
    std::span<const uint8_t> bytes_;
    size_t at_ = 0;
    bool ok_ = true;
};

/// The bits of a chain of blocks, each with its length in front, the low bit first.
class BitReader {
  public:
    explicit BitReader(Reader& file) : file_(file) {}

    /// Nothing at the end of the chain, or of the file.
    std::optional<uint32_t> code(unsigned n_bits) {
        while (n_held_ < n_bits) {
            if (n_left_ == 0) n_left_ = file_.byte();
            if (n_left_ == 0 || !file_.ok()) return std::nullopt;
            held_ |= uint32_t{file_.byte()} << n_held_;
            n_held_ += 8;
            --n_left_;
        }
        const uint32_t value = held_ & ((1U << n_bits) - 1);
        held_ >>= n_bits;
        n_held_ -= n_bits;
        return value;
    }

  private:
    Reader& file_;
    uint32_t held_ = 0;
    unsigned n_held_ = 0;
    size_t n_left_ = 0;  // of the block
};

/// Decodes as many pixels as `out` takes. False: there are fewer, or the codes make no sense.
class PixelDecoder {
  public:
    PixelDecoder(Reader& file, unsigned pixel_bits)
        : bits_(file), clear_(1U << pixel_bits), pixel_bits_(pixel_bits) {}

    bool run(std::span<uint8_t> out) {
        restart();
        uint32_t last = kNone;
        for (size_t n = 0; n < out.size();) {
            const std::optional<uint32_t> code = bits_.code(code_bits_);
            if (!code || *code == clear_ + 1) return false;  // the end of the data
            if (*code == clear_) {
                restart();
                last = kNone;
                continue;
            }
            // A code that is about to be made stands for the last run and its own first pixel.
            const bool is_new = last != kNone && *code == n_codes_ && n_codes_ < kMostCodes;
            if (!is_new && *code >= (last != kNone ? n_codes_ : clear_)) return false;
            const size_t n_run = unroll(is_new ? last : *code);
            const uint8_t first = run_[n_run - 1];
            for (size_t i = n_run; i > 0 && n < out.size(); --i) out[n++] = run_[i - 1];
            if (is_new && n < out.size()) out[n++] = first;
            if (last != kNone && n_codes_ < kMostCodes) add(last, first);
            last = *code;
        }
        return true;
    }

  private:
    void restart() {
        n_codes_ = clear_ + 2;
        code_bits_ = pixel_bits_ + 1;
    }
    void add(uint32_t before, uint8_t pixel) {
        before_[n_codes_] = static_cast<uint16_t>(before);
        pixel_[n_codes_] = pixel;
        ++n_codes_;
        if (n_codes_ == size_t{1} << code_bits_ && code_bits_ < kLongestCode) ++code_bits_;
    }
    /// Writes the run of a code to run_, backwards; every code leads to a smaller one.
    size_t unroll(uint32_t code) {
        size_t n = 0;
        for (; code >= clear_; code = before_[code]) run_[n++] = pixel_[code];
        run_[n++] = static_cast<uint8_t>(code);
        return n;
    }

    BitReader bits_;
    const uint32_t clear_;
    const unsigned pixel_bits_;
    unsigned code_bits_ = 0;
    size_t n_codes_ = 0;
    std::array<uint16_t, kMostCodes> before_ = {};
    std::array<uint8_t, kMostCodes> pixel_ = {};
    std::array<uint8_t, kMostCodes> run_ = {};
};

struct Screen {
    size_t width = 0;
    size_t height = 0;
    std::span<const uint8_t> palette;  // RGB
    uint32_t transparent = kNone;
};

std::span<const uint8_t> read_palette(Reader& file, unsigned flags) {
    return (flags & 0x80U) == 0 ? std::span<const uint8_t>() : file.take(6U << (flags & 7U));
}

/// Steps over what stands before the first picture; false: there is none.
bool find_picture(Reader& file, Screen& screen) {
    constexpr uint8_t kPicture = 0x2C;
    constexpr uint8_t kExtension = 0x21;
    constexpr uint8_t kControl = 0xF9;
    while (file.ok()) {
        const uint8_t kind = file.byte();
        if (kind == kPicture) return file.ok();
        if (kind != kExtension) return false;
        const bool is_control = file.byte() == kControl;
        bool is_first = true;
        while (const size_t n = file.byte()) {
            const std::span<const uint8_t> block = file.take(n);
            if (is_control && is_first && block.size() >= 4) {
                screen.transparent = (block[0] & 1U) != 0 ? block[3] : kNone;
            }
            is_first = false;
        }
    }
    return false;
}

/// The row of the screen that row `i` of interlaced data stands for: every eighth, those between,
/// and so on.
size_t interlaced_row(size_t i, size_t height) {
    constexpr std::array<std::array<size_t, 2>, 4> kPasses = {{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
    for (const auto& [first, step] : kPasses) {
        const size_t n = height > first ? (height - first + step - 1) / step : 0;
        if (i < n) return first + i * step;
        i -= n;
    }
    return 0;
}

Result<StoredPicture> paint(const Screen& screen, std::span<const uint8_t> indices) {
    StoredPicture picture;
    picture.width = screen.width;
    picture.height = screen.height;
    const bool has_clear = screen.transparent != kNone;
    picture.n_channels = has_clear ? 4 : 3;
    picture.pixels.resize(indices.size() * picture.n_channels);
    uint8_t* out = picture.pixels.data();
    for (const uint8_t index : indices) {
        const bool is_clear = index == screen.transparent;
        if (!is_clear && size_t{index} * 3 + 3 > screen.palette.size()) return damaged();
        for (size_t c = 0; c < 3; ++c)
            out[c] = is_clear ? 0 : screen.palette[index * size_t{3} + c];
        if (has_clear) out[3] = is_clear ? 0 : 255;
        out += picture.n_channels;
    }
    return picture;
}

}  // namespace

Result<StoredPicture> read_gif(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    Reader file(bytes);
    (void)file.take(6);  // "GIF89a"
    Screen screen;
    screen.width = file.u16();
    screen.height = file.u16();
    const uint8_t flags = file.byte();
    (void)file.take(2);  // background and shape of pixels: nobody draws them
    if (!file.ok()) return ends_early();
    GEMLET_TRY(check_picture_size(screen.width, screen.height, limits, kFormat));
    screen.palette = read_palette(file, flags);
    if (!find_picture(file, screen)) return file.ok() ? damaged() : ends_early();
    const size_t left = file.u16();
    const size_t top = file.u16();
    const size_t width = file.u16();
    const size_t height = file.u16();
    const uint8_t picture_flags = file.byte();
    const std::span<const uint8_t> own = read_palette(file, picture_flags);
    if (!own.empty()) screen.palette = own;
    const unsigned pixel_bits = file.byte();
    if (!file.ok()) return ends_early();
    const bool fits = left + width <= screen.width && top + height <= screen.height;
    if (!fits || width == 0 || height == 0 || pixel_bits < 1 || pixel_bits > 8) return damaged();
    std::vector<uint8_t> stored(width * height);
    if (!PixelDecoder(file, pixel_bits).run(stored)) return file.ok() ? damaged() : ends_early();
    const auto free = static_cast<uint8_t>(screen.transparent != kNone ? screen.transparent : 0);
    std::vector<uint8_t> indices(screen.width * screen.height, free);
    const bool is_interlaced = (picture_flags & 0x40U) != 0;
    for (size_t i = 0; i < height; ++i) {
        const size_t y = top + (is_interlaced ? interlaced_row(i, height) : i);
        for (size_t x = 0; x < width; ++x) {
            indices[y * screen.width + left + x] = stored[i * width + x];
        }
    }
    return paint(screen, indices);
}

}  // namespace gemlet::image
