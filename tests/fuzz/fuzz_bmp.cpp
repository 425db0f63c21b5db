// BMP pictures.
#include "tests/fuzz/fuzz_picture.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    gemlet::fuzz::read_any(gemlet::image::read_bmp, data, size);
    return 0;
}
