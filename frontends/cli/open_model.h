// Options of the command line to an opened engine.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/engine/engine.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/options.h"
#include "frontends/media/message_media.h"
#include "frontends/text/tokenizer/tokenizer.h"

namespace gemlet {

/// Translates the options every command shares. `default_kv` is used where --kv is not given;
/// none is what the checkpoint brings scales for.
EngineOptions engine_options(const Options& options, std::optional<KvType> default_kv = {});

/// Opens the model; on a fault returns null and fills `failure`.
std::unique_ptr<Engine> open_engine(const Options& options, const EngineOptions& engine,
                                    Failure& failure);

/// Translates the options about pictures.
PictureOptions picture_options(const Options& options);

/// Translates the options about sounds.
SoundOptions sound_options(const Options& options);

/// What --image and the like give, in order.
std::vector<MediaSource> media_sources(const Options& options);

/// The tokenizer that belongs to an opened checkpoint.
Result<Tokenizer> open_tokenizer(const Checkpoint& checkpoint);

}  // namespace gemlet
