// The vision encoder as compare_vision.py drives it: opens model and encoder, then encodes one
// picture for every line that comes in, and answers with the milliseconds that scaling and encoding
// took on the clock and of the processors, and the number of soft tokens. Stays loaded between
// lines, so that several programs can take turns.
// Usage: encode_picture MODEL MMPROJ PICTURE BUDGET THREADS f32|int8
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/peers/encode_turns.h"
#include "core/vision/vision_encoder.h"
#include "frontends/image/picture_reader.h"
#include "frontends/image/preprocess.h"

using gemlet::bench::fail;

int main(int argc, char** argv) {
    if (argc != 7) return 2;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    gemlet::EngineOptions settings;
    settings.context = 64;
    settings.n_threads = std::strtoul(arguments[4].c_str(), nullptr, 10);
    const auto engine = gemlet::Engine::open(arguments[0], settings);
    if (!engine) return fail(engine.error());
    gemlet::VisionOptions options;
    options.max_soft_tokens = std::strtoul(arguments[3].c_str(), nullptr, 10);
    if (arguments[5] == "int8") options.precision = gemlet::TowerPrecision::int8;
    const auto encoder = gemlet::VisionEncoder::open(**engine, arguments[1], options);
    if (!encoder) return fail(encoder.error());
    const auto picture = gemlet::image::read_picture_file(arguments[2]);
    if (!picture) return fail(picture.error());
    std::vector<float> soft(options.max_soft_tokens * (*encoder)->config().text_width);
    return gemlet::bench::answer_lines([&]() -> gemlet::Result<size_t> {
        const auto grid = gemlet::image::patches_of(*picture, options.max_soft_tokens,
                                                    (*encoder)->config().patch_side);
        GEMLET_TRY(grid);
        return (*encoder)->encode(*grid, soft);
    });
}
