// Pictures and sounds that the program makes itself, for calibration where nobody gives any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gemlet {

/// A file's bytes and what a conversation about it says.
struct MadeMedium {
    std::vector<uint8_t> bytes;  // binary PPM, or WAV: what every build reads
    std::string question;
    std::string answer;
};

/// Coloured shapes and lines of digits on plain, shaded and noisy grounds, in several sizes. The
/// same bytes every time.
std::vector<MadeMedium> made_pictures();

/// Voices of several pitches that say syllables, with pauses and noise: vowels and hisses, no
/// words. 16 kHz, one to three seconds. The same bytes every time.
std::vector<MadeMedium> made_sounds();

}  // namespace gemlet
