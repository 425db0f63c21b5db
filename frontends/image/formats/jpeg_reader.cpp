// JPEG through libjpeg(-turbo). The library reports errors by a callback that must not return, so
// each call into it stands in a function with its own setjmp and nothing to destroy (decode_*); the
// C++ around them owns the memory. Where the library would go on after damage with a warning and
// grey pixels, we stop: the reference raises an error for files that end early, and a picture that
// is half noise only confuses a model. Pictures for print (CMYK) become RGB as Pillow does it,
// without a colour profile: that is what the model was trained on.
#include <algorithm>
#include <csetjmp>
#include <cstdio>
// clang-format off: they need what <cstdio> declares
#include <jerror.h>
#include <jpeglib.h>
// clang-format on

#include "frontends/image/formats/exif.h"
#include "frontends/image/formats/format_readers.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "JPEG";
// A progressive file may repeat scans without end, each as much work as a whole picture. Real ones
// have about ten.
constexpr int kMaxScans = 100;
// Some cameras fill up before the end mark, a share of the file that we overlook. More than that is
// a picture whose damage made the decoder finish too early.
constexpr size_t kMinPadding = 8;
constexpr size_t kPaddingShare = 4096;
constexpr int kExifMarker = JPEG_APP0 + 1;

// Everything the library works with; trivially destructible, so that jumping over it is defined.
struct Decoder {
    jpeg_decompress_struct info;
    jpeg_error_mgr errors;
    jpeg_progress_mgr progress;
    std::jmp_buf on_error;
    size_t max_padding;
    int fault;  // the library's code of what went wrong
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void fail(j_common_ptr info) {
    Decoder& decoder = decoder_of(info);
    decoder.fault = info->err->msg_code;
    std::longjmp(decoder.on_error, 1);
}

// Level -1 is a warning: the data is damaged, but the library would go on.
void heed_warning(j_common_ptr info, int level) {
    if (level >= 0) return;
    const jpeg_error_mgr& error = *info->err;
    switch (error.msg_code) {
        case JWRN_EXTRANEOUS_DATA:
            if (error.msg_parm.i[1] != JPEG_EOI ||
                static_cast<size_t>(error.msg_parm.i[0]) > decoder_of(info).max_padding) {
                fail(info);
            }
            break;
        case JWRN_ADOBE_XFORM:  // odd, but nothing is missing
        case JWRN_JFIF_MAJOR:
        case JWRN_NOT_SEQUENTIAL:
            break;
        default:
            fail(info);
    }
}

void print_nothing(j_common_ptr /*info*/) {}

void count_scans(j_common_ptr info) {
    if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaxScans) {
        info->err->msg_code = JERR_BAD_PROGRESSION;
        fail(info);
    }
}

bool decode_header(Decoder& decoder, const uint8_t* bytes, unsigned long n_bytes) {
    decoder.info.err = jpeg_std_error(&decoder.errors);
    decoder.errors.error_exit = fail;
    decoder.errors.emit_message = heed_warning;
    decoder.errors.output_message = print_nothing;
    decoder.progress.progress_monitor = count_scans;
    decoder.info.client_data = &decoder;
    decoder.max_padding = kMinPadding + n_bytes / kPaddingShare;
    if (setjmp(decoder.on_error) != 0) return false;
    jpeg_create_decompress(&decoder.info);
    decoder.info.progress = &decoder.progress;
    jpeg_mem_src(&decoder.info, bytes, n_bytes);
    jpeg_save_markers(&decoder.info, kExifMarker, 0xFFFF);
    jpeg_read_header(&decoder.info, TRUE);
    decoder.info.out_color_space = decoder.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    return true;
}

bool decode_rows(Decoder& decoder, uint8_t* pixels, size_t row_bytes) {
    if (setjmp(decoder.on_error) != 0) return false;
    jpeg_start_decompress(&decoder.info);
    while (decoder.info.output_scanline < decoder.info.output_height) {
        JSAMPROW row = pixels + decoder.info.output_scanline * row_bytes;
        jpeg_read_scanlines(&decoder.info, &row, 1);
    }
    jpeg_finish_decompress(&decoder.info);
    return true;
}

Status error_of(const Decoder& decoder) {
    switch (decoder.fault) {
        case JWRN_JPEG_EOF:
        case JERR_INPUT_EMPTY:
        case JERR_INPUT_EOF:
            return {StatusCode::corrupt, "the picture ends before its data does", kFormat};
        case JWRN_HIT_MARKER:
            return {StatusCode::corrupt, "a part of the picture is missing", kFormat};
        case JERR_EMPTY_IMAGE:
            return {StatusCode::corrupt, "the picture has a side of 0 pixels", kFormat};
        case JERR_IMAGE_TOO_BIG:
            return {StatusCode::bad_argument, "a side of the picture has too many pixels", kFormat};
        case JERR_OUT_OF_MEMORY:
            return {StatusCode::out_of_memory, "not enough memory for the picture", kFormat};
        case JERR_BAD_PRECISION:
            return {StatusCode::unsupported, "only pictures of 8 bits per channel are read",
                    kFormat};
        case JERR_SOF_UNSUPPORTED:
        case JERR_ARITH_NOTIMPL:
        case JERR_NOT_COMPILED:
            return {StatusCode::unsupported, "a rare kind of compression that is not read",
                    kFormat};
        case JERR_CONVERSION_NOTIMPL:
        case JERR_BAD_J_COLORSPACE:
            return {StatusCode::unsupported, "a picture in colours that are not read", kFormat};
        case JERR_BAD_PROGRESSION:
            return {StatusCode::corrupt, "the picture's scans do not fit together", kFormat};
        default:
            return {StatusCode::corrupt, "the picture's data is damaged", kFormat, decoder.fault};
    }
}

// Four channels of ink, stored inverted as Adobe's programs do (and who else writes these files).
void inks_to_rgb(std::vector<uint8_t>& pixels) {
    const size_t n_pixels = pixels.size() / 4;
    const uint8_t* src = pixels.data();
    uint8_t* dst = pixels.data();
    for (size_t i = 0; i < n_pixels; ++i, src += 4, dst += 3) {
        const unsigned white = src[3];
        for (size_t c = 0; c < 3; ++c) {
            const unsigned t = (255U - src[c]) * white + 128U;
            dst[c] = static_cast<uint8_t>(white - ((t + (t >> 8U)) >> 8U));
        }
    }
    pixels.resize(n_pixels * 3);
}

unsigned orientation_of(const jpeg_decompress_struct& info) {
    for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr;
         marker = marker->next) {
        const std::span<const uint8_t> block(marker->data, marker->data_length);
        if (block.size() >= 6 && std::equal(block.begin(), block.begin() + 6, "Exif\0")) {
            return exif_orientation(block);
        }
    }
    return 1;
}

// Gives the library's memory back on every way out.
struct DecoderOwner {
    Decoder decoder{};
    DecoderOwner() = default;
    DecoderOwner(const DecoderOwner&) = delete;
    DecoderOwner& operator=(const DecoderOwner&) = delete;
    ~DecoderOwner() { jpeg_destroy_decompress(&decoder.info); }
};

}  // namespace

Result<StoredPicture> read_jpeg(std::span<const uint8_t> bytes, const PictureLimits& limits) {
    DecoderOwner owner;
    Decoder& decoder = owner.decoder;
    if (!decode_header(decoder, bytes.data(), bytes.size())) return error_of(decoder);
    const jpeg_decompress_struct& info = decoder.info;
    GEMLET_TRY(check_picture_size(info.image_width, info.image_height, limits, kFormat));

    StoredPicture picture;
    picture.width = info.image_width;
    picture.height = info.image_height;
    picture.orientation = orientation_of(info);
    const size_t n_stored = info.out_color_space == JCS_CMYK ? 4 : 3;
    const size_t row_bytes = picture.width * n_stored;
    picture.pixels.resize(picture.height * row_bytes);
    if (!decode_rows(decoder, picture.pixels.data(), row_bytes)) return error_of(decoder);
    if (n_stored == 4) inks_to_rgb(picture.pixels);
    return picture;
}

}  // namespace gemlet::image
