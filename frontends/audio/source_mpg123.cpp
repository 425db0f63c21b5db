// MP3 through libmpg123. libsndfile reads MP3 with the same library, but stops where a length says
// that is only estimated (half of a file with a variable rate may be lost), and lets the library
// print what it notices to the error stream.
#include <mpg123.h>

#include <algorithm>
#include <cstdio>

#include "frontends/audio/sound_format.h"
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

// Samples that an encoder may have counted differently: a frame of layer 3.
constexpr uint64_t kTolerance = 1152;

struct Cursor {
    SoundBytes* bytes = nullptr;
    off_t at = 0;
};

ssize_t read_bytes(void* user, void* out, size_t n) {
    auto* cursor = static_cast<Cursor*>(user);
    const size_t got =
        cursor->bytes->read_at(static_cast<uint64_t>(cursor->at), {static_cast<uint8_t*>(out), n});
    cursor->at += static_cast<off_t>(got);
    return static_cast<ssize_t>(got);
}

off_t seek_bytes(void* user, off_t offset, int whence) {
    auto* cursor = static_cast<Cursor*>(user);
    off_t base = 0;
    if (whence == SEEK_CUR) base = cursor->at;
    if (whence == SEEK_END) base = static_cast<off_t>(cursor->bytes->size());
    off_t at = 0;
    if (__builtin_add_overflow(base, offset, &at) || at < 0) return -1;
    cursor->at = at;
    return at;
}

struct Delete {
    void operator()(mpg123_handle* decoder) const { mpg123_delete(decoder); }
};

class Mp3Source final : public SoundSource {
  public:
    explicit Mp3Source(SoundBytes& bytes) : cursor_{&bytes, 0} {}

    Status open() {
        decoder_.reset(mpg123_new(nullptr, nullptr));
        mpg123_handle* decoder = decoder_.get();
        if (decoder == nullptr) return {StatusCode::out_of_memory, "not enough memory"};
        const bool is_ready =
            mpg123_param(decoder, MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT, 0) ==
                MPG123_OK &&
            mpg123_param(decoder, MPG123_REMOVE_FLAGS, MPG123_AUTO_RESAMPLE, 0) == MPG123_OK &&
            mpg123_replace_reader_handle(decoder, read_bytes, seek_bytes, nullptr) == MPG123_OK &&
            mpg123_open_handle(decoder, &cursor_) == MPG123_OK;
        long rate = 0;
        int channels = 0;
        int encoding = 0;
        const bool is_open =
            is_ready && mpg123_getformat(decoder, &rate, &channels, &encoding) == MPG123_OK;
        GEMLET_TRY(cursor_.bytes->status());
        if (!is_open || encoding != MPG123_ENC_FLOAT_32) {
            return {StatusCode::corrupt, "no MP3 frames that fit together", cursor_.bytes->name()};
        }
        facts_.rate = static_cast<double>(rate);
        facts_.n_channels = static_cast<size_t>(std::max(channels, 0));
        const off_t length = mpg123_length(decoder);
        if (length > 0) facts_.n_frames = static_cast<uint64_t>(length);
        is_length_exact_ = length > 0 && mp3_tells_length(*cursor_.bytes);
        return {};
    }

    Result<size_t> read(std::span<float> frames) override {
        size_t n_bytes = 0;
        const int error =
            mpg123_read(decoder_.get(), reinterpret_cast<unsigned char*>(frames.data()),
                        frames.size_bytes(), &n_bytes);
        const size_t n = n_bytes / sizeof(float) / facts_.n_channels;
        n_frames_ += n;
        GEMLET_TRY(cursor_.bytes->status());
        const std::string& name = cursor_.bytes->name();
        if (error == MPG123_NEW_FORMAT) {
            return Status(StatusCode::unsupported, "a sound that changes its rate or its channels",
                          name);
        }
        if (error != MPG123_OK && error != MPG123_DONE) {
            return Status(StatusCode::corrupt, "the sound's data is damaged", name,
                          static_cast<int64_t>(n_frames_));
        }
        if (n == 0 && is_length_exact_ && n_frames_ + kTolerance < *facts_.n_frames) {
            return Status(StatusCode::corrupt, "the file ends before its sound does", name);
        }
        return n;
    }

  private:
    Cursor cursor_;
    std::unique_ptr<mpg123_handle, Delete> decoder_;
    uint64_t n_frames_ = 0;  // read so far
    bool is_length_exact_ = false;
};

}  // namespace

Result<SoundSourcePtr> open_mp3(SoundBytes& bytes) {
    auto source = std::make_unique<Mp3Source>(bytes);
    GEMLET_TRY(source->open());
    return SoundSourcePtr(std::move(source));
}

}  // namespace gemlet::audio
