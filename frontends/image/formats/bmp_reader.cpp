// BMP as programs write it today: plain rows of 1, 4, 8, 16, 24 or 32 bits a pixel, with a palette
// or with masks that say where a colour's bits lie. Run lengths and embedded JPEG or PNG are
// refused. Needs no library. Rows are padded to four bytes and run upwards, or downwards where the
// height is negative. Of 32 bits without masks the last 8 mean nothing, as in Pillow; samples of
// fewer than 8 bits are scaled as there, value * 255 / largest, rounded down. Source: Microsoft's
// pages on BITMAPFILEHEADER, BITMAPINFOHEADER and BITMAPV4HEADER.
#include <array>
#include <bit>

#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "BMP";
constexpr size_t kFileHeader = 14;
constexpr size_t kCoreHeader = 12;  // OS/2's: sides of 16 bits, palettes without a fourth byte
constexpr size_t kInfoHeader = 40;
constexpr size_t kAlphaHeader = 56;  // from here on masks are part of the header, alpha's too
constexpr size_t kLongestHeader = 124;

Status ends_early() {
    return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
}
Status damaged() { return {StatusCode::corrupt, "the picture contradicts its format", kFormat}; }

struct Bitmap {
    size_t width = 0;
    size_t height = 0;
    bool downwards = false;
    unsigned n_bits = 0;
    size_t palette = 0;                  // offset of the first colour
    size_t n_colours = 0;                // of the palette
    size_t colour_bytes = 4;             // of each
    size_t pixels = 0;                   // offset of the first row
    bool has_masks = false;              // of its own, in `masks`
    std::array<uint32_t, 4> masks = {};  // red, green, blue, alpha
};

class Reader {
  public:
    explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    /// Little-endian; 0 behind the end.
    uint32_t u16(size_t at) const { return byte(at) | byte(at + 1) << 8U; }
    uint32_t u32(size_t at) const { return u16(at) | u16(at + 2) << 16U; }
    uint32_t byte(size_t at) const { return at < bytes_.size() ? bytes_[at] : 0; }
    size_t size() const { return bytes_.size(); }

  private:
    std::span<const uint8_t> bytes_;
};

Status read_masks(const Reader& file, size_t header_bytes, uint32_t compression, Bitmap& out) {
    constexpr uint32_t kMasks = 3;
    constexpr uint32_t kMasksWithAlpha = 6;
    if (compression == 0) {
        if (out.n_bits == 16) out.masks = {0x7C00, 0x3E0, 0x1F, 0};
        return {};
    }
    if (compression != kMasks && compression != kMasksWithAlpha) {
        return {StatusCode::unsupported, "BMP pictures with compression are not read", kFormat};
    }
    if (out.n_bits != 16 && out.n_bits != 32) return damaged();
    out.has_masks = true;
    const bool has_alpha = header_bytes >= kAlphaHeader || compression == kMasksWithAlpha;
    for (size_t i = 0; i < (has_alpha ? 4U : 3U); ++i) {
        const uint32_t mask = file.u32(kFileHeader + kInfoHeader + 4 * i);
        const uint32_t low = mask >> static_cast<unsigned>(mask != 0 ? std::countr_zero(mask) : 0);
        if ((low & (low + 1)) != 0 || (mask == 0 && i < 3)) return damaged();  // bits in a row
        out.masks[i] = mask;
    }
    return {};
}

Result<Bitmap> read_header(const Reader& file, const PictureLimits& limits) {
    const size_t header_bytes = file.u32(kFileHeader);
    if (file.size() < kFileHeader + kCoreHeader) return ends_early();
    const bool is_core = header_bytes == kCoreHeader;
    if (!is_core && (header_bytes < kInfoHeader || header_bytes > kLongestHeader)) return damaged();
    Bitmap out;
    if (is_core) {
        out.width = file.u16(18);
        out.height = file.u16(20);
        out.n_bits = file.u16(24);
        out.colour_bytes = 3;
    } else {
        const auto height = static_cast<int32_t>(file.u32(22));
        out.width = file.u32(18);
        out.downwards = height < 0;
        out.height = static_cast<size_t>(height < 0 ? -static_cast<int64_t>(height) : height);
        out.n_bits = file.u16(28);
    }
    GEMLET_TRY(check_picture_size(out.width, out.height, limits, kFormat));
    const bool is_known = out.n_bits == 1 || out.n_bits == 4 || out.n_bits == 8 ||
                          out.n_bits == 16 || out.n_bits == 24 || out.n_bits == 32;
    if (!is_known) return damaged();
    const uint32_t compression = is_core ? 0 : file.u32(30);
    GEMLET_TRY(read_masks(file, header_bytes, compression, out));
    out.pixels = file.u32(10);
    out.palette = kFileHeader + header_bytes;
    if (out.n_bits <= 8) {
        const size_t most = size_t{1} << out.n_bits;
        const size_t given = is_core ? 0 : file.u32(46);
        out.n_colours = given == 0 || given > most ? most : given;
        if (out.palette + out.n_colours * out.colour_bytes > file.size()) return ends_early();
    }
    const uint64_t row_bytes = (static_cast<uint64_t>(out.width) * out.n_bits + 31) / 32 * 4;
    if (out.pixels > file.size() || row_bytes > (file.size() - out.pixels) / out.height) {
        return ends_early();
    }
    return out;
}

uint8_t sample_of(uint32_t value, uint32_t mask) {
    if (mask == 0) return 255;
    const auto shift = static_cast<unsigned>(std::countr_zero(mask));
    return static_cast<uint8_t>(uint64_t{(value & mask) >> shift} * 255 / (mask >> shift));
}

/// Writes the pixel that begins `x` pixels into a row; false: no such colour.
bool write_pixel(const Reader& file, const Bitmap& bitmap, size_t row, size_t x, uint8_t* out) {
    if (bitmap.n_bits <= 8) {
        const size_t first_bit = x * bitmap.n_bits;
        const size_t shift = 8 - bitmap.n_bits - first_bit % 8;
        const size_t index = file.byte(row + first_bit / 8) >> shift & ((1U << bitmap.n_bits) - 1);
        if (index >= bitmap.n_colours) return false;
        const size_t colour = bitmap.palette + index * bitmap.colour_bytes;
        for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(file.byte(colour + 2 - c));
        return true;
    }
    const size_t at = row + x * (bitmap.n_bits / 8);
    if (bitmap.n_bits == 16 || bitmap.has_masks) {
        const uint32_t value = bitmap.n_bits == 16 ? file.u16(at) : file.u32(at);
        const size_t n = bitmap.masks[3] != 0 ? 4 : 3;
        for (size_t c = 0; c < n; ++c) out[c] = sample_of(value, bitmap.masks[c]);
        return true;
    }
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(file.byte(at + 2 - c));
    return true;
}

}  // namespace

Result<StoredPicture> read_bmp(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    const Reader file(bytes);
    const Result<Bitmap> bitmap = read_header(file, limits);
    GEMLET_TRY(bitmap);
    StoredPicture picture;
    picture.width = bitmap->width;
    picture.height = bitmap->height;
    picture.n_channels = bitmap->masks[3] != 0 ? 4 : 3;
    picture.pixels.resize(picture.width * picture.height * picture.n_channels);
    const size_t row_bytes = (picture.width * bitmap->n_bits + 31) / 32 * 4;
    uint8_t* out = picture.pixels.data();
    for (size_t y = 0; y < picture.height; ++y) {
        const size_t stored = bitmap->downwards ? y : picture.height - 1 - y;
        const size_t row = bitmap->pixels + stored * row_bytes;
        for (size_t x = 0; x < picture.width; ++x, out += picture.n_channels) {
            if (!write_pixel(file, *bitmap, row, x, out)) {
                return Status(StatusCode::corrupt, "a pixel has no colour in the palette", kFormat);
            }
        }
    }
    return picture;
}

}  // namespace gemlet::image
