// Calibration needs inputs of the kind and size that encoders meet, not a meaning: edges, areas and
// noise for pictures, harmonics under formants and hisses for sounds. Made here, they need no files
// beside the program.
#include "frontends/cli/made_media.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace gemlet {
namespace {

constexpr size_t kPictures = 8;
constexpr size_t kSounds = 8;
constexpr uint32_t kSampleRate = 16000;

/// A generator of our own, so that the bytes are the same with every standard library.
class Dice {
  public:
    explicit Dice(uint32_t seed) : state_(seed * 2654435761U + 12345U) {}
    uint32_t below(uint32_t n) {
        state_ = state_ * 1664525U + 1013904223U;
        return static_cast<uint32_t>((uint64_t{state_} * n) >> 32U);
    }
    /// In [-1, 1).
    float noise() { return static_cast<float>(below(1U << 16U)) / 32768.0F - 1.0F; }

  private:
    uint32_t state_;
};

struct Colour {
    const char* name;
    std::array<uint8_t, 3> rgb;
};
constexpr std::array kColours = {
    Colour{"red", {200, 30, 40}},  Colour{"green", {40, 150, 60}},
    Colour{"blue", {30, 70, 190}}, Colour{"yellow", {230, 200, 40}},
    Colour{"black", {20, 20, 20}}, Colour{"purple", {120, 40, 140}},
};
constexpr std::array kShapes = {"circle", "square", "triangle", "cross"};

/// Five columns of seven rows a digit, the top row in the lowest bit of each column.
constexpr uint8_t kDigits[10][5] = {{0x3E, 0x51, 0x49, 0x45, 0x3E}, {0x00, 0x42, 0x7F, 0x40, 0x00},
                                    {0x42, 0x61, 0x51, 0x49, 0x46}, {0x21, 0x41, 0x45, 0x4B, 0x31},
                                    {0x18, 0x14, 0x12, 0x7F, 0x10}, {0x27, 0x45, 0x45, 0x45, 0x39},
                                    {0x3C, 0x4A, 0x49, 0x49, 0x30}, {0x01, 0x71, 0x09, 0x05, 0x03},
                                    {0x36, 0x49, 0x49, 0x49, 0x36}, {0x06, 0x49, 0x49, 0x29, 0x1E}};

struct Canvas {
    size_t width;
    size_t height;
    std::vector<uint8_t> pixels;  // [height, width, 3]

    void set(size_t x, size_t y, const std::array<uint8_t, 3>& rgb) {
        if (x < width && y < height) {
            std::ranges::copy(rgb, pixels.begin() + static_cast<ptrdiff_t>((y * width + x) * 3));
        }
    }
};

/// Light and shaded towards one corner, and noisy where `grain` is not 0.
Canvas ground(size_t width, size_t height, float grain, Dice& dice) {
    Canvas canvas{width, height, std::vector<uint8_t>(width * height * 3)};
    for (size_t i = 0; i < canvas.pixels.size(); ++i) {
        const size_t row = i / 3 / width;
        const float down = static_cast<float>(row) / static_cast<float>(height);
        const float value =
            245.0F - 60.0F * down * static_cast<float>(i % 3) / 2 + grain * dice.noise();
        canvas.pixels[i] = static_cast<uint8_t>(std::clamp(value, 0.0F, 255.0F));
    }
    return canvas;
}

/// Whether a point at (x, y) from a shape's middle, in half sizes, lies in it.
bool lies_in(size_t shape, float x, float y) {
    switch (shape) {
        case 0:
            return x * x + y * y < 1;
        case 1:
            return std::fabs(x) < 0.9F && std::fabs(y) < 0.9F;
        case 2:
            return y < 0.9F && y > -0.9F && std::fabs(x) < (y + 0.9F) / 2;
        default:
            return (std::fabs(x) < 0.3F || std::fabs(y) < 0.3F) && std::fabs(x) < 1 &&
                   std::fabs(y) < 1;
    }
}

/// Draws a shape into the stretch of columns that begins at `left`; returns its words.
std::string draw_shape(Canvas& canvas, size_t left, size_t width, Dice& dice) {
    const size_t shape = dice.below(kShapes.size());
    const Colour& colour = kColours[dice.below(kColours.size())];
    const float half = static_cast<float>(std::min(width, canvas.height)) * 0.38F;
    const float middle_x = static_cast<float>(left) + static_cast<float>(width) / 2;
    const float middle_y = static_cast<float>(canvas.height) / 2;
    for (size_t y = 0; y < canvas.height; ++y) {
        for (size_t x = left; x < left + width; ++x) {
            if (lies_in(shape, (static_cast<float>(x) - middle_x) / half,
                        (static_cast<float>(y) - middle_y) / half)) {
                canvas.set(x, y, colour.rgb);
            }
        }
    }
    return std::string("a ") + colour.name + " " + kShapes[shape];
}

/// Draws a line of digits that fills the width; returns them.
std::string draw_digits(Canvas& canvas, size_t n, Dice& dice) {
    const size_t dot = canvas.width / (6 * n + 1);
    const size_t top = (canvas.height - std::min(canvas.height, 7 * dot)) / 2;
    std::string digits;
    for (size_t i = 0; i < n; ++i) {
        const uint32_t digit = dice.below(10);
        digits += static_cast<char>('0' + digit);
        for (size_t column = 0; column < 5; ++column) {
            for (size_t row = 0; row < 7; ++row) {
                if (((kDigits[digit][column] >> row) & 1U) == 0) continue;
                for (size_t at = 0; at < dot * dot; ++at) {
                    canvas.set((6 * i + 1 + column) * dot + at % dot, top + row * dot + at / dot,
                               {25, 25, 30});
                }
            }
        }
    }
    return digits;
}

void append(std::vector<uint8_t>& out, const std::string& text) {
    out.insert(out.end(), text.begin(), text.end());
}

void append_number(std::vector<uint8_t>& out, uint32_t value, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

std::vector<uint8_t> wave_file(const std::vector<float>& samples) {
    const auto data_bytes = static_cast<uint32_t>(samples.size() * 2);
    std::vector<uint8_t> out;
    append(out, "RIFF");
    append_number(out, 36 + data_bytes, 4);
    append(out, "WAVEfmt ");
    append_number(out, 16, 4);
    append_number(out, 1, 2);  // integers
    append_number(out, 1, 2);  // one channel
    append_number(out, kSampleRate, 4);
    append_number(out, kSampleRate * 2, 4);
    append_number(out, 2, 2);
    append_number(out, 16, 2);
    append(out, "data");
    append_number(out, data_bytes, 4);
    for (const float x : samples) {
        const auto value = static_cast<int16_t>(std::clamp(x, -1.0F, 1.0F) * 32767.0F);
        append_number(out, static_cast<uint16_t>(value), 2);
    }
    return out;
}

/// First and second formant of a few vowels, in Hz.
constexpr float kVowels[][2] = {{730, 1090}, {270, 2290}, {300, 870}, {530, 1840}, {570, 840}};

/// A hiss and a vowel: harmonics of the voice, louder near the formants.
void say_syllable(std::vector<float>& out, float pitch, Dice& dice) {
    const size_t n_hiss = 800 + dice.below(1200);
    for (size_t i = 0; i < n_hiss; ++i) out.push_back(0.08F * dice.noise());
    const float* formants = kVowels[dice.below(std::size(kVowels))];
    const size_t n = 1600 + dice.below(2400);
    const float glide = 0.15F * dice.noise();
    float phase = 0;
    for (size_t i = 0; i < n; ++i) {
        const float along = static_cast<float>(i) / static_cast<float>(n);
        const float f0 = pitch * (1 + glide * along);
        phase += 2 * std::numbers::pi_v<float> * f0 / static_cast<float>(kSampleRate);
        float value = 0;
        for (int h = 1; h <= 24; ++h) {
            const float f = f0 * static_cast<float>(h);
            const float to_first = (f - formants[0]) / 120;
            const float to_second = (f - formants[1]) / 180;
            const float loudness =
                1 / (1 + to_first * to_first) + 0.6F / (1 + to_second * to_second);
            value += loudness * std::sin(phase * static_cast<float>(h));
        }
        out.push_back(0.2F * value * std::sin(std::numbers::pi_v<float> * along));
    }
}

}  // namespace

std::vector<MadeMedium> made_pictures() {
    std::vector<MadeMedium> out;
    for (uint32_t i = 0; i < kPictures; ++i) {
        Dice dice(i + 1);
        const size_t width = 144 + 48 * dice.below(6);
        const size_t height = 144 + 48 * dice.below(5);
        Canvas canvas = ground(width, height, i % 3 == 2 ? 30.0F : 0.0F, dice);
        MadeMedium medium;
        if (i % 2 == 0) {
            const std::string first = draw_shape(canvas, 0, width / 2, dice);
            medium.question = "Describe the picture.";
            medium.answer = first + " and " + draw_shape(canvas, width / 2, width / 2, dice);
        } else {
            medium.question = "What is written here?";
            medium.answer = draw_digits(canvas, 2 + dice.below(4), dice);
        }
        append(medium.bytes,
               "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n");
        medium.bytes.insert(medium.bytes.end(), canvas.pixels.begin(), canvas.pixels.end());
        out.push_back(std::move(medium));
    }
    return out;
}

std::vector<MadeMedium> made_sounds() {
    std::vector<MadeMedium> out;
    for (uint32_t i = 0; i < kSounds; ++i) {
        Dice dice(100 + i);
        const float pitch = 90.0F + 20.0F * static_cast<float>(i);
        std::vector<float> samples;
        for (uint32_t syllable = 0; syllable < 6 + i; ++syllable) {
            say_syllable(samples, pitch, dice);
            if (dice.below(3) != 0) continue;
            for (size_t n = 1000 + dice.below(2000); n > 0; --n) {
                samples.push_back(0.002F * dice.noise());
            }
        }
        out.push_back({wave_file(samples),
                       "Transcribe the following speech segment in English into English text.",
                       "She has 3 green cups and a small lamp."});
    }
    return out;
}

}  // namespace gemlet
