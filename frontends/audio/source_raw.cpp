// Samples without a header, as a microphone's program writes them into a pipe. Reads what is there
// and no more, so that words are heard when they are spoken.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

class RawSource final : public SoundSource {
  public:
    RawSource(int descriptor, double rate) : descriptor_(descriptor) {
        facts_.rate = rate;
        facts_.n_channels = 1;
    }

    Result<size_t> read(std::span<float> frames) override {
        std::array<uint8_t, 8192> raw;
        const size_t n_wanted = std::min(raw.size(), 2 * frames.size());
        size_t n_raw = 0;
        if (has_half_) raw[n_raw++] = half_;
        while (n_raw < 2) {  // half a sample is nothing to return
            const ssize_t got = ::read(descriptor_, raw.data() + n_raw, n_wanted - n_raw);
            if (got == 0) return size_t{0};
            if (got > 0) {
                n_raw += static_cast<size_t>(got);
            } else {
                keep_half(raw[0], n_raw == 1);
                GEMLET_TRY(wait_or_give_up(errno));
            }
        }
        keep_half(raw[n_raw - 1], n_raw % 2 == 1);
        for (size_t i = 0; i < n_raw / 2; ++i) {
            const auto sample =
                static_cast<int16_t>(static_cast<uint16_t>(raw[2 * i] | raw[2 * i + 1] << 8U));
            frames[i] = static_cast<float>(sample) / 32768.0F;
        }
        return n_raw / 2;
    }

  private:
    void keep_half(uint8_t byte, bool is_half) {
        half_ = byte;
        has_half_ = is_half;
    }

    // After a failed read. A descriptor that does not block is waited for here.
    Status wait_or_give_up(int error) const {
        if (error == EAGAIN || error == EWOULDBLOCK) {
            pollfd waiting = {descriptor_, POLLIN, 0};
            if (::poll(&waiting, 1, -1) >= 0) return {};
            error = errno;
        }
        if (error == EINTR) return {StatusCode::cancelled, "waiting for sound was interrupted"};
        return {StatusCode::io, "cannot read raw sound", "input", error};
    }

    int descriptor_;
    uint8_t half_ = 0;  // the first byte of a sample whose second has not arrived
    bool has_half_ = false;
};

}  // namespace

Result<SoundSourcePtr> open_raw_pcm16(int descriptor, double rate) {
    return SoundSourcePtr(std::make_unique<RawSource>(descriptor, rate));
}

}  // namespace gemlet::audio
