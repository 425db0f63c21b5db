// Settings come from three places, the later the stronger: the family's, the model's files, the
// command line.
#include "frontends/cli/conversation.h"

#include <optional>
#include <random>

#include "frontends/cli/interrupt.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/progress.h"
#include "frontends/cli/streams.h"
#include "frontends/cli/template_note.h"

namespace gemlet {
namespace {

Status override_sampling(const Options& options, SamplerOptions& sampling) {
    if (options.temperature) sampling.temperature = *options.temperature;
    if (options.top_p) sampling.top_p = *options.top_p;
    if (options.top_k) sampling.top_k = *options.top_k;
    if (options.min_p) sampling.min_p = *options.min_p;
    if (options.repetition_penalty) sampling.repetition_penalty = *options.repetition_penalty;
    sampling.seed = options.seed ? *options.seed : std::random_device()();
    return check_sampler_options(sampling);
}

/// A list of tools, or an object with such a list as `tools`.
Result<Json> read_tools(const std::string& path) {
    const Result<std::string> text = read_file(path);
    GEMLET_TRY(text);
    const Result<Json> parsed = parse_json(*text, DuplicateKeys::last_wins);
    if (!parsed) {
        return Status(StatusCode::bad_argument, "not JSON from this byte on", path,
                      parsed.error().number());
    }
    const Json* list = parsed->is_array() ? &*parsed : parsed->find("tools");
    if (list == nullptr || !list->is_array()) {
        return Status(StatusCode::bad_argument, "not a list of tools", path);
    }
    return Json(*list);
}

}  // namespace

Conversation::Conversation(const Options& options, ChatModel model)
    : model_(std::move(model)),
      sampling_(model_.sampling),
      max_tokens_(options.max_tokens),
      outlives_interrupts_(options.command == "chat") {}

std::unique_ptr<Conversation> Conversation::open(const Options& options, Failure& failure) {
    const auto fail = [&](const Status& status, const std::string& file) {
        failure = Failure(status, file);
        return nullptr;
    };
    // Small things first: a slip in the options should not cost the loading of a model.
    Json tools;
    if (!options.tools_file.empty()) {
        Result<Json> read = read_tools(options.tools_file);
        if (!read) return fail(read.error(), {});
        tools = std::move(*read);
    }
    SamplerOptions sampling;
    if (const Status status = override_sampling(options, sampling); !status.ok()) {
        return fail(status, {});
    }
    std::string fault_file;
    Result<ChatModel> model = open_chat_model(options.model, engine_options(options), fault_file);
    if (!model) return fail(model.error(), fault_file);
    if (!options.raw) note_template(model->chat_template);

    std::unique_ptr<Conversation> made(new Conversation(options, std::move(*model)));
    made->tools_ = std::move(tools);
    (void)override_sampling(options, made->sampling_);  // checked above
    Result<std::unique_ptr<Session>> session = Session::create(*made->model_.engine);
    if (!session) return fail(session.error(), {});
    made->session_ = std::move(*session);
    made->media_ = std::make_unique<MediaEncoder>(*made->model_.engine, picture_options(options),
                                                  sound_options(options));
    made->generator_ = std::make_unique<Generator>(*made->session_, made->model_.tokenizer);
    return made;
}

void Conversation::stop() { InterruptScope::flag() = true; }

Result<Answer> Conversation::generate(GenerateRequest request, const DeltaSink& on_delta) {
    std::optional<ProgressBar> bar(std::in_place, "reading the prompt", request.prompt.size());
    request.sampling = sampling_;
    request.max_tokens = max_tokens_;
    request.on_prefill = [&](size_t done, size_t total) {
        if (done < total) {
            bar->update(request.prompt.size() - total + done);
        } else {
            bar.reset();
        }
    };
    request.on_delta = on_delta;
    const InterruptScope interrupt(outlives_interrupts_);
    request.cancel = &InterruptScope::flag();
    return generator_->run(request);
}

Result<SharedSoftTokens> Conversation::encode(const MediaSource& source) {
    return media_->encode(source, fault_file_);
}

Result<Answer> Conversation::answer(const Json& messages, bool think, const DeltaSink& on_delta) {
    chat::RenderOptions rendering;
    rendering.add_generation_prompt = true;
    rendering.enable_thinking = think;
    const Result<std::vector<MediaSource>> sources = media_of_messages(messages);
    GEMLET_TRY(sources);
    const Result<EncodedMedia> media = encode_media(*media_, *sources, fault_file_);
    GEMLET_TRY(media);
    const Result<ChatPrompt> prompt =
        make_chat_prompt(model_, messages, tools_, rendering, media->media);
    GEMLET_TRY(prompt);
    const std::vector<PromptMedium> placed = media->place(prompt->runs);
    GenerateRequest request;
    request.prompt = prompt->ids;
    request.media = placed;
    request.start = prompt->start;
    return generate(std::move(request), on_delta);
}

Result<Answer> Conversation::continue_text(std::string_view text, const DeltaSink& on_delta) {
    std::vector<int32_t> ids = model_.tokenizer.encode(text, true);
    const Vocabulary& vocabulary = model_.tokenizer.vocabulary();
    if (vocabulary.add_bos() && (ids.empty() || ids.front() != vocabulary.bos())) {
        ids.insert(ids.begin(), vocabulary.bos());
    }
    GenerateRequest request;
    request.prompt = ids;
    request.raw = true;
    return generate(std::move(request), on_delta);
}

}  // namespace gemlet
