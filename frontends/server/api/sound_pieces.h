// Sounds that are longer than a model hears at once, in pieces.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gemlet::server {

/// Cuts a sound of more than 30 seconds into pieces of at most that, each a WAV file, at the
/// quietest moments of their last five seconds. Nothing is left out. Returns no piece for a shorter
/// sound, for one of more than `most_seconds`, and for what is no sound: the encoder says what is
/// wrong with those.
std::vector<std::vector<uint8_t>> cut_sound(std::span<const uint8_t> bytes, double most_seconds);

}  // namespace gemlet::server
