// The settings that change values. Those of padding do not: clips are computed one by one.
#include "frontends/media/sound_features.h"

#include <array>
#include <cmath>
#include <filesystem>
#include <span>
#include <string_view>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "core/json.h"

namespace gemlet {
namespace {

struct Setting {
    const char* name;
    double value;
};
constexpr std::array kOfEmbedder = {Setting{"feature_size", 640}, Setting{"sampling_rate", 16000},
                                    Setting{"audio_samples_per_token", 640}};
constexpr std::array kOfConformer = {
    Setting{"feature_size", 128},   Setting{"sampling_rate", 16000}, Setting{"frame_length", 320},
    Setting{"hop_length", 160},     Setting{"fft_length", 512},      Setting{"min_frequency", 0},
    Setting{"max_frequency", 8000}, Setting{"mel_floor", 0.001},     Setting{"preemphasis", 0},
    Setting{"dither", 0},           Setting{"input_scale_factor", 1}};
// Absent, null and false are all the same.
constexpr std::array kOff = {"fft_overdrive", "per_bin_mean", "per_bin_stddev"};
constexpr double kTolerance = 1e-9;

Status other(std::string_view name) {
    return {StatusCode::unsupported, "the model wants its sound made into frames in another way",
            name};
}

Status compare(const Json& settings, std::span<const Setting> expected) {
    for (const Setting& setting : expected) {
        const Json* value = settings.find(setting.name);
        if (value == nullptr || value->is_null()) continue;
        if (!value->is_number() || std::abs(value->number - setting.value) > kTolerance) {
            return other(setting.name);
        }
    }
    for (const char* name : kOff) {
        const Json* value = settings.find(name);
        const bool off =
            value == nullptr || value->is_null() || (value->is_bool() && !value->boolean);
        if (!off) return other(name);
    }
    return {};
}

}  // namespace

Status check_sound_features(const std::string& model, AudioKind kind, std::string& fault_file) {
    namespace fs = std::filesystem;
    return guard([&]() -> Status {
        for (const char* name : {"processor_config.json", "preprocessor_config.json"}) {
            const fs::path path = fs::path(model) / name;
            std::error_code ignored;
            if (!fs::is_regular_file(path, ignored)) continue;
            fault_file = path.string();
            const Result<MappedFile> file = MappedFile::open(fault_file);
            GEMLET_TRY(file);
            const std::span<const uint8_t> bytes = file->bytes();
            const Result<Json> parsed =
                parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                           DuplicateKeys::last_wins);
            GEMLET_TRY(parsed);
            const Json* nested = parsed->find("feature_extractor");
            const Json& settings = nested != nullptr ? *nested : *parsed;
            if (!settings.is_object()) {
                return {StatusCode::corrupt, "not an object", "feature_extractor"};
            }
            if (kind == AudioKind::conformer) {
                GEMLET_TRY(compare(settings, kOfConformer));
            } else {
                GEMLET_TRY(compare(settings, kOfEmbedder));
            }
        }
        return {};
    });
}

}  // namespace gemlet
