// PNG through libpng. As in jpeg_reader.cpp, calls into the library stand in functions with a
// setjmp of their own and nothing to destroy. Size and orientation are read here, from the chunks:
// the first before the library sees anything. Of the optional chunks it gets to see only
// transparency; colour profiles and gamma are ignored as by the reference, and compressed texts
// (which may be bombs) never inflated. Samples of 16 bits keep their high byte.
#include <png.h>

#include <csetjmp>
#include <cstring>
#include <string_view>

#include "frontends/image/formats/exif.h"
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "PNG";
constexpr size_t kSignatureBytes = 8;
constexpr size_t kChunkOverhead = 12;  // length, name, CRC
constexpr size_t kHeaderBytes = 13;

// Trivially destructible, so that jumping over it is defined.
struct Decoder {
    png_structp png;
    png_infop info;
    const uint8_t* next;
    size_t n_left;
    std::jmp_buf on_error;
    bool ended_early;
    bool out_of_memory;
};

[[noreturn]] void fail(png_structp png, png_const_charp message) {
    auto& decoder = *static_cast<Decoder*>(png_get_error_ptr(png));
    decoder.out_of_memory = std::strstr(message, "emory") != nullptr;
    std::longjmp(decoder.on_error, 1);
}

void ignore_warning(png_structp /*png*/, png_const_charp /*message*/) {}

void read_bytes(png_structp png, png_bytep out, size_t n_bytes) {
    auto& decoder = *static_cast<Decoder*>(png_get_io_ptr(png));
    if (n_bytes > decoder.n_left) {
        decoder.ended_early = true;
        png_error(png, "end of file");
    }
    std::memcpy(out, decoder.next, n_bytes);
    decoder.next += n_bytes;
    decoder.n_left -= n_bytes;
}

// Everything that might be large, is of no use or changes colours behind our back.
void ignore_optional_chunks(png_structp png) {
    static constexpr png_byte kIgnored[] =
        "bKGD\0cHRM\0eXIf\0gAMA\0hIST\0iCCP\0iTXt\0oFFs\0pCAL\0pHYs\0sBIT\0sCAL\0sPLT\0sRGB\0sTER\0"
        "tEXt\0tIME\0zTXt";
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, kIgnored,
                                static_cast<int>(sizeof(kIgnored) / 5));
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, nullptr, 0);
}

// Returns the channels of the rows to come, 3 or 4; 0 for an error.
size_t decode_header(Decoder& decoder, const PictureLimits& limits) {
    decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, fail, ignore_warning);
    if (decoder.png == nullptr) {
        decoder.out_of_memory = true;
        return 0;
    }
    if (setjmp(decoder.on_error) != 0) return 0;
    decoder.info = png_create_info_struct(decoder.png);
    if (decoder.info == nullptr) png_error(decoder.png, "out of memory");
    png_set_read_fn(decoder.png, &decoder, read_bytes);
    png_set_user_limits(decoder.png, static_cast<png_uint_32>(limits.max_side),
                        static_cast<png_uint_32>(limits.max_side));
    // A damaged transparency chunk would otherwise be dropped in silence.
    png_set_crc_action(decoder.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    ignore_optional_chunks(decoder.png);
    png_read_info(decoder.png, decoder.info);
    png_set_expand(decoder.png);  // palettes, few bits, transparent colours
    png_set_strip_16(decoder.png);
    png_set_gray_to_rgb(decoder.png);
    png_set_interlace_handling(decoder.png);
    png_read_update_info(decoder.png, decoder.info);
    return png_get_channels(decoder.png, decoder.info);
}

bool decode_rows(Decoder& decoder, uint8_t* pixels, size_t height, size_t row_bytes) {
    if (setjmp(decoder.on_error) != 0) return false;
    if (png_get_rowbytes(decoder.png, decoder.info) != row_bytes) {
        png_error(decoder.png, "rows of another size");
    }
    const bool interlaced = png_get_interlace_type(decoder.png, decoder.info) != PNG_INTERLACE_NONE;
    const int n_passes = interlaced ? PNG_INTERLACE_ADAM7_PASSES : 1;
    for (int pass = 0; pass < n_passes; ++pass) {
        for (size_t y = 0; y < height; ++y) {
            png_read_row(decoder.png, pixels + y * row_bytes, nullptr);
        }
    }
    png_read_end(decoder.png, nullptr);
    return true;
}

Status error_of(const Decoder& decoder) {
    if (decoder.out_of_memory) {
        return {StatusCode::out_of_memory, "not enough memory for the picture", kFormat};
    }
    if (decoder.ended_early) {
        return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
    }
    return {StatusCode::corrupt, "the picture's data is damaged", kFormat};
}

uint32_t big_endian(std::span<const uint8_t> bytes, size_t at) {
    return uint32_t{bytes[at]} << 24U | uint32_t{bytes[at + 1]} << 16U |
           uint32_t{bytes[at + 2]} << 8U | bytes[at + 3];
}

// The orientation may stand before or behind the pixels.
unsigned orientation_of(std::span<const uint8_t> bytes) {
    size_t at = kSignatureBytes;
    while (bytes.size() - at >= kChunkOverhead) {
        const size_t n_bytes = big_endian(bytes, at);
        if (n_bytes > bytes.size() - at - kChunkOverhead) break;
        if (std::memcmp(bytes.data() + at + 4, "eXIf", 4) == 0) {
            return exif_orientation(bytes.subspan(at + 8, n_bytes));
        }
        at += n_bytes + kChunkOverhead;
    }
    return 1;
}

struct DecoderOwner {
    Decoder decoder{};
    DecoderOwner() = default;
    DecoderOwner(const DecoderOwner&) = delete;
    DecoderOwner& operator=(const DecoderOwner&) = delete;
    ~DecoderOwner() { png_destroy_read_struct(&decoder.png, &decoder.info, nullptr); }
};

}  // namespace

Result<StoredPicture> read_png(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    if (bytes.size() < kSignatureBytes + kChunkOverhead + kHeaderBytes) {
        return Status(StatusCode::corrupt, "the picture ends before its data does", kFormat);
    }
    if (std::memcmp(bytes.data() + kSignatureBytes + 4, "IHDR", 4) != 0) {
        return Status(StatusCode::corrupt, "the picture has no header", kFormat);
    }
    StoredPicture picture;
    picture.width = big_endian(bytes, kSignatureBytes + 8);
    picture.height = big_endian(bytes, kSignatureBytes + 12);
    GEMLET_TRY(check_picture_size(picture.width, picture.height, limits, kFormat));
    picture.orientation = orientation_of(bytes);

    DecoderOwner owner;
    owner.decoder.next = bytes.data();
    owner.decoder.n_left = bytes.size();
    picture.n_channels = decode_header(owner.decoder, limits);
    if (picture.n_channels != 3 && picture.n_channels != 4) return error_of(owner.decoder);
    const size_t row_bytes = picture.width * picture.n_channels;
    picture.pixels.resize(picture.height * row_bytes);
    if (!decode_rows(owner.decoder, picture.pixels.data(), picture.height, row_bytes)) {
        return error_of(owner.decoder);
    }
    return picture;
}

}  // namespace gemlet::image
