// gemlet logits: for comparing with other implementations, so the KV cache is float unless asked
// otherwise.
#include <algorithm>
#include <charconv>
#include <vector>

#include "core/engine/session.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/npy.h"
#include "frontends/cli/open_model.h"
#include "frontends/text/chat/media.h"

namespace gemlet {
namespace {

constexpr size_t kRowsAtOnce = 64;  // of logits kept in memory with --all

Result<std::vector<PromptRow>> parse_ids(const std::string& text) {
    std::vector<PromptRow> rows;
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
        int32_t id = 0;
        const auto [next, error] = std::from_chars(at, end, id);
        if (error != std::errc() || (next != end && *next != ',')) {
            return Status(StatusCode::bad_argument, "not a list of ids separated by commas",
                          "--ids", at - text.data());
        }
        rows.push_back({id, nullptr});
        at = next + 1;
    }
    if (rows.empty()) return Status(StatusCode::bad_argument, "no ids given", "--ids");
    return rows;
}

Status write_logits(Session& session, const std::vector<PromptRow>& rows, const Options& options,
                    size_t vocab) {
    if (!options.all) {
        GEMLET_TRY(session.append(rows));
        Result<NpyWriter> writer = NpyWriter::create(options.out, 1, vocab, true);
        GEMLET_TRY(writer);
        writer->write_row(session.logits().data());
        return writer->finish();
    }
    Result<NpyWriter> writer = NpyWriter::create(options.out, rows.size(), vocab, false);
    GEMLET_TRY(writer);
    const auto take = [](void* context, size_t, std::span<const float> logits) {
        static_cast<NpyWriter*>(context)->write_row(logits.data());
    };
    GEMLET_TRY(session.append_all(rows, {take, &*writer}));
    return writer->finish();
}

/// Puts the media where their placeholders are.
Status place_media(const EncodedMedia& media, const ModelConfig& config,
                   std::vector<PromptRow>& rows) {
    std::vector<int32_t> ids;
    ids.reserve(rows.size());
    for (const PromptRow& row : rows) ids.push_back(row.token);
    const Result<std::vector<chat::MediaRun>> runs = chat::find_media_runs(
        ids, media.media, {config.image_id, config.audio_id, config.video_id});
    GEMLET_TRY(runs);
    for (const PromptMedium& medium : media.place(*runs)) {
        for (size_t i = 0; i < medium.count; ++i) {
            rows[medium.begin + i].soft = medium.soft + i * config.d_model;
        }
    }
    return {};
}

}  // namespace

Failure logits_command(const Options& options) {
    Result<std::vector<PromptRow>> rows = parse_ids(options.ids);
    if (!rows) return rows.error();
    EngineOptions settings = engine_options(options, KvType::f32);
    if (options.all) settings.max_wanted = std::min(settings.chunk, kRowsAtOnce);
    Failure failure;
    const std::unique_ptr<Engine> engine = open_engine(options, settings, failure);
    if (engine == nullptr) return failure;
    MediaEncoder encoder(*engine, picture_options(options), sound_options(options));
    std::string file;
    const Result<EncodedMedia> media = encode_media(encoder, media_sources(options), file);
    if (!media) return {media.error(), file};
    if (!media->media.empty()) {
        const Status placed = place_media(*media, engine->config(), *rows);
        if (!placed.ok()) return placed;
    }
    Result<std::unique_ptr<Session>> session = Session::create(*engine);
    if (!session) return session.error();
    return write_logits(**session, *rows, options, engine->config().vocab_size);
}

}  // namespace gemlet
