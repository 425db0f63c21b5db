// The audio encoder as compare_audio.py drives it: opens model and encoder, then makes frames of
// one sound and encodes them for every line that comes in, and answers with the milliseconds that
// this took on the clock and of the processors, and the number of soft tokens. Stays loaded between
// lines, so that several programs can take turns. MMPROJ may be empty.
// Usage: encode_sound MODEL MMPROJ SOUND THREADS auto|f32|int8
#include <cstdlib>
#include <string>
#include <vector>

#include "bench/peers/encode_turns.h"
#include "core/audio/audio_encoder.h"
#include "frontends/audio/mel.h"
#include "frontends/audio/sound_reader.h"

using gemlet::bench::fail;

int main(int argc, char** argv) {
    if (argc != 6) return 2;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    gemlet::EngineOptions settings;
    settings.context = 64;
    settings.n_threads = std::strtoul(arguments[3].c_str(), nullptr, 10);
    const auto engine = gemlet::Engine::open(arguments[0], settings);
    if (!engine) return fail(engine.error());
    gemlet::AudioOptions options;
    if (arguments[4] == "f32") options.precision = gemlet::TowerPrecision::in_float;
    if (arguments[4] == "int8") options.precision = gemlet::TowerPrecision::int8;
    const auto encoder = gemlet::AudioEncoder::open(**engine, arguments[1], options);
    if (!encoder) return fail(encoder.error());
    const auto sound = gemlet::audio::SoundReader::open(arguments[2]);
    if (!sound) return fail(sound.error());
    std::vector<float> samples(gemlet::kMaxSamples);
    size_t n_samples = 0;
    while (n_samples < samples.size()) {
        const auto n = (*sound)->read(std::span(samples).subspan(n_samples));
        if (!n) return fail(n.error());
        if (*n == 0) break;
        n_samples += *n;
    }
    samples.resize(n_samples);
    const gemlet::AudioConfig& config = (*encoder)->config();
    std::vector<float> soft(gemlet::kMaxAudioTokens * config.text_width);
    return gemlet::bench::answer_lines([&]() -> gemlet::Result<size_t> {
        const auto frames = gemlet::audio::log_mel(samples);
        GEMLET_TRY(frames);
        return (*encoder)->encode(*frames, frames->size() / config.frame_width, soft);
    });
}
