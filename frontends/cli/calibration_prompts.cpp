// Texts are cut into stretches of one prompt each. A picture or a sound becomes a short
// conversation about it, with soft tokens in the places of its placeholders.
#include "frontends/cli/calibration_prompts.h"

#include <algorithm>

#include "core/files/mapped_file.h"
#include "frontends/cli/made_media.h"
#include "frontends/cli/open_model.h"
#include "frontends/media/picture_encoder.h"
#include "frontends/media/sound_encoder.h"
#include "quant/convert/calibration_text.h"

namespace gemlet {
namespace {

constexpr size_t kPromptTokens = 512;
constexpr size_t kMediaShare = 8;      // pictures, and sounds, per so much text
constexpr size_t kPictureBudget = 70;  // soft tokens: enough, and quick

/// Cuts a text into prompts that begin with BOS.
void add_text(const Tokenizer& tokenizer, std::string_view text, size_t most_tokens,
              std::vector<CalibrationPrompt>& prompts) {
    const std::vector<int32_t> ids = tokenizer.encode(text, true);
    for (size_t at = 0; at < ids.size() && at < most_tokens; at += kPromptTokens - 1) {
        const size_t n = std::min(kPromptTokens - 1, ids.size() - at);
        CalibrationPrompt prompt;
        prompt.ids.push_back(tokenizer.vocabulary().bos());
        const auto begin = ids.begin() + static_cast<ptrdiff_t>(at);
        prompt.ids.insert(prompt.ids.end(), begin, begin + static_cast<ptrdiff_t>(n));
        prompts.push_back(std::move(prompt));
    }
}

/// A conversation about one medium; `placeholder` stands `soft.n` times in it.
CalibrationPrompt conversation(const Tokenizer& tokenizer, const MadeMedium& medium,
                               const char* kind, int32_t placeholder, SoftTokens soft) {
    const std::string mark = kind;
    const std::string front = "<|turn>user\n<|" + mark + ">";
    const std::string back = "<" + mark + "|>" + medium.question + "<turn|>\n<|turn>model\n" +
                             medium.answer + "<turn|>\n";
    CalibrationPrompt prompt;
    prompt.ids.push_back(tokenizer.vocabulary().bos());
    const auto add = [&](const std::string& text) {
        const std::vector<int32_t> ids = tokenizer.encode(text, true);
        prompt.ids.insert(prompt.ids.end(), ids.begin(), ids.end());
    };
    add(front);
    const size_t first = prompt.ids.size();
    prompt.ids.insert(prompt.ids.end(), soft.n, placeholder);
    add(back);
    prompt.soft_at.assign(prompt.ids.size(), -1);
    for (size_t i = 0; i < soft.n; ++i) prompt.soft_at[first + i] = static_cast<int32_t>(i);
    prompt.soft = std::move(soft.values);
    return prompt;
}

/// Adds prompts for media, of at most `most_rows` rows. A model without the encoder, or without its
/// file, has none.
template <class Encoder>
void add_media(const Tokenizer& tokenizer, Encoder& encoder, const std::vector<MadeMedium>& media,
               const char* kind, int32_t placeholder, size_t most_rows,
               std::vector<CalibrationPrompt>& prompts) {
    if (placeholder < 0) return;
    size_t n_rows = 0;
    std::string ignored;
    for (const MadeMedium& medium : media) {
        Result<SoftTokens> soft = encoder.encode(medium.bytes, ignored);
        if (!soft) return;
        CalibrationPrompt prompt =
            conversation(tokenizer, medium, kind, placeholder, std::move(*soft));
        n_rows += prompt.ids.size();
        if (n_rows > most_rows) return;
        prompts.push_back(std::move(prompt));
    }
}

Status add_made_media(const Options& options, const Tokenizer& tokenizer,
                      std::vector<CalibrationPrompt>& prompts, std::string& fault_file) {
    EngineOptions settings = engine_options(options);
    settings.context = kPromptTokens;
    const Result<std::unique_ptr<Engine>> engine =
        Engine::open(options.model, settings, &fault_file);
    GEMLET_TRY(engine);
    const ModelConfig& config = (*engine)->config();
    const size_t most_rows = options.calibration_tokens / kMediaShare;
    PictureEncoder pictures(**engine, {.mmproj = options.mmproj, .budget = kPictureBudget});
    add_media(tokenizer, pictures, made_pictures(), "image", config.image_id, most_rows, prompts);
    SoundEncoder sounds(**engine, {.mmproj = options.mmproj});
    add_media(tokenizer, sounds, made_sounds(), "audio", config.audio_id, most_rows, prompts);
    return {};
}

}  // namespace

Status collect_prompts(const Options& options, const Tokenizer& tokenizer,
                       std::vector<CalibrationPrompt>& prompts, std::string& fault_file) {
    if (options.calibration.empty()) {
        add_text(tokenizer, calibration_text(), options.calibration_tokens, prompts);
        return add_made_media(options, tokenizer, prompts, fault_file);
    }
    const size_t share =
        std::max<size_t>(1, options.calibration_tokens / options.calibration.size());
    for (const std::string& path : options.calibration) {
        fault_file = path;
        const Result<MappedFile> file = MappedFile::open(path);
        GEMLET_TRY(file);
        add_text(tokenizer,
                 {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()}, share,
                 prompts);
    }
    return {};
}

}  // namespace gemlet
