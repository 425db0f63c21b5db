// WAV files without a library: whole numbers of 8 to 32 bits and floats, in RIFF and RF64, with any
// number of channels. For builds without libsndfile, which reads them to the same bits and knows
// compressed ones as well. That all promised bytes are there was checked before (sound_format.h).
// Source: Microsoft's "Multiple Channel Audio Data and WAVE Files"; EBU Tech 3306 (RF64).
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "frontends/audio/sound_format.h"
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

constexpr uint64_t kWholeNumbers = 1;
constexpr uint64_t kFloats = 3;
constexpr uint64_t kExtensible = 0xFFFE;

uint64_t little_endian(const uint8_t* bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = n; i > 0; --i) value = value << 8U | bytes[i - 1];
    return value;
}

class WaveSource final : public SoundSource {
  public:
    explicit WaveSource(SoundBytes& bytes) : bytes_(&bytes) {}

    Status open() {
        std::array<uint8_t, 4> magic{};
        bytes_->read_at(0, magic);
        if (magic[3] == 'X') return unsupported();  // RIFX: big endian
        const WavChunks chunks = find_wav_chunks(*bytes_);
        GEMLET_TRY(bytes_->status());
        GEMLET_TRY(read_format(chunks));
        if (chunks.data_begin == 0) return error(StatusCode::corrupt, "a WAV file without samples");
        at_ = chunks.data_begin;
        // Of a last frame that is not whole nothing is used.
        const uint64_t n_frames = chunks.data_bytes / (facts_.n_channels * width_bytes_);
        n_left_ = n_frames * facts_.n_channels;
        facts_.n_frames = n_frames;
        return {};
    }

    Result<size_t> read(std::span<float> frames) override {
        const uint64_t n_wanted = frames.size() / facts_.n_channels * facts_.n_channels;
        const size_t n = std::min(n_wanted, n_left_);
        std::array<uint8_t, size_t{512} * 24> raw;  // whole samples of every width
        for (size_t i = 0; i < n;) {
            const size_t n_now = std::min(n - i, raw.size() / width_bytes_);
            const auto part = std::span(raw).first(n_now * width_bytes_);
            if (bytes_->read_at(at_, part) < part.size()) {
                GEMLET_TRY(bytes_->status());
                return error(StatusCode::corrupt, "the file ends before its sound does");
            }
            for (size_t j = 0; j < n_now; ++j) frames[i + j] = value(raw.data() + j * width_bytes_);
            at_ += part.size();
            i += n_now;
        }
        n_left_ -= n;
        return n / facts_.n_channels;
    }

  private:
    Status error(StatusCode code, const char* text) const { return {code, text, bytes_->name()}; }

    Status unsupported() const {
        return error(StatusCode::unsupported,
                     "this build of gemlet reads only plain WAV files (no libsndfile)");
    }

    Status read_format(const WavChunks& chunks) {
        constexpr size_t kShort = 16;
        constexpr size_t kLong = 40;  // with a mask of channels and a GUID
        // The kind of samples, then always this: see RFC 2361.
        constexpr std::string_view kGuid("\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71", 14);
        std::array<uint8_t, kLong> raw{};
        const auto format = std::span(raw).first(std::min<uint64_t>(chunks.format_bytes, kLong));
        if (format.size() < kShort ||
            bytes_->read_at(chunks.format_begin, format) < format.size()) {
            return error(StatusCode::corrupt, "a WAV file that does not say how its samples lie");
        }
        uint64_t kind = little_endian(raw.data(), 2);
        if (kind == kExtensible && format.size() == kLong &&
            std::memcmp(raw.data() + 26, kGuid.data(), kGuid.size()) == 0) {
            kind = little_endian(raw.data() + 24, 2);
        }
        facts_.n_channels = little_endian(raw.data() + 2, 2);
        facts_.rate = static_cast<double>(little_endian(raw.data() + 4, 4));
        const uint64_t frame_bytes = little_endian(raw.data() + 12, 2);
        const uint64_t n_bits = little_endian(raw.data() + 14, 2);
        width_bytes_ = n_bits / 8;
        is_float_ = kind == kFloats;
        const bool is_known =
            is_float_ ? n_bits == 32 || n_bits == 64
                      : kind == kWholeNumbers && n_bits % 8 == 0 && n_bits >= 8 && n_bits <= 32;
        if (!is_known) {
            return unsupported();
        }
        if (facts_.n_channels == 0 || frame_bytes != facts_.n_channels * width_bytes_) {
            return error(StatusCode::corrupt, "a WAV file whose frames have another size");
        }
        return {};
    }

    float value(const uint8_t* raw) const {
        const uint64_t bits = little_endian(raw, width_bytes_);
        if (is_float_ && width_bytes_ == 8) return static_cast<float>(std::bit_cast<double>(bits));
        if (is_float_) return std::bit_cast<float>(static_cast<uint32_t>(bits));
        // The sign to the top of 32 bits; bytes have an offset instead of a sign.
        auto top = static_cast<uint32_t>(bits << (32 - 8 * width_bytes_));
        if (width_bytes_ == 1) top ^= 0x80000000U;
        return static_cast<float>(static_cast<int32_t>(top)) * 0x1p-31F;
    }

    SoundBytes* bytes_;
    uint64_t at_ = 0;      // in the file, of the next sample
    uint64_t n_left_ = 0;  // samples
    size_t width_bytes_ = 0;
    bool is_float_ = false;
};

}  // namespace

Result<SoundSourcePtr> open_wave(SoundBytes& bytes) {
    auto source = std::make_unique<WaveSource>(bytes);
    GEMLET_TRY(source->open());
    return SoundSourcePtr(std::move(source));
}

}  // namespace gemlet::audio
