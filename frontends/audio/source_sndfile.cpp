// Sound files through libsndfile. It reads the file through us, from wherever it lies. What it
// decodes is compared with the length it promised, since a file that ends early, or a frame that
// was dropped for a wrong checksum, is no error to it.
#include <sndfile.h>

#include <algorithm>
#include <cstdio>
#include <limits>

#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

struct Cursor {
    SoundBytes* bytes = nullptr;
    sf_count_t at = 0;
};

sf_count_t size_of(void* user) {
    return static_cast<sf_count_t>(static_cast<Cursor*>(user)->bytes->size());
}

sf_count_t seek(sf_count_t offset, int whence, void* user) {
    auto* cursor = static_cast<Cursor*>(user);
    sf_count_t base = 0;
    if (whence == SEEK_CUR) base = cursor->at;
    if (whence == SEEK_END) base = size_of(user);
    sf_count_t at = 0;
    if (__builtin_add_overflow(base, offset, &at) || at < 0) return -1;
    cursor->at = at;
    return at;
}

sf_count_t read(void* out, sf_count_t n, void* user) {
    auto* cursor = static_cast<Cursor*>(user);
    if (n <= 0) return 0;
    const size_t got = cursor->bytes->read_at(static_cast<uint64_t>(cursor->at),
                                              {static_cast<uint8_t*>(out), static_cast<size_t>(n)});
    cursor->at += static_cast<sf_count_t>(got);
    return static_cast<sf_count_t>(got);
}

sf_count_t write(const void* /*data*/, sf_count_t /*n*/, void* /*user*/) { return 0; }

sf_count_t tell(void* user) { return static_cast<Cursor*>(user)->at; }

struct Close {
    void operator()(SNDFILE* file) const { sf_close(file); }
};

class SndfileSource final : public SoundSource {
  public:
    explicit SndfileSource(SoundBytes& bytes) : cursor_{&bytes, 0} {}

    Status open() {
        SF_VIRTUAL_IO calls = {size_of, seek, gemlet::audio::read, write, tell};
        SF_INFO info = {};
        file_.reset(sf_open_virtual(&calls, SFM_READ, &info, &cursor_));
        GEMLET_TRY(cursor_.bytes->status());
        if (file_ == nullptr) return open_error(sf_error(nullptr));
        facts_.rate = info.samplerate;
        facts_.n_channels = static_cast<size_t>(std::max(info.channels, 0));
        // Streams of unknown length say "the largest number".
        if (info.frames >= 0 && info.frames < std::numeric_limits<sf_count_t>::max() / 2) {
            facts_.n_frames = static_cast<uint64_t>(info.frames);
        }
        return {};
    }

    Result<size_t> read(std::span<float> frames) override {
        const auto n_wanted = static_cast<sf_count_t>(frames.size() / facts_.n_channels);
        const sf_count_t got = sf_readf_float(file_.get(), frames.data(), n_wanted);
        GEMLET_TRY(cursor_.bytes->status());
        if (const int error = sf_error(file_.get()); error != SF_ERR_NO_ERROR || got < 0) {
            return Status(StatusCode::corrupt, "the sound's data is damaged", cursor_.bytes->name(),
                          static_cast<int64_t>(n_frames_));
        }
        n_frames_ += static_cast<uint64_t>(got);
        if (got == 0 && facts_.n_frames && n_frames_ < *facts_.n_frames) {
            return Status(StatusCode::corrupt, "the file ends before its sound does",
                          cursor_.bytes->name());
        }
        return static_cast<size_t>(got);
    }

  private:
    Status open_error(int error) const {
        const std::string& name = cursor_.bytes->name();
        if (error == SF_ERR_UNRECOGNISED_FORMAT || error == SF_ERR_UNSUPPORTED_ENCODING) {
            return {StatusCode::unsupported, "a sound whose compression is not known", name};
        }
        // Texts of libsndfile's own table; they live as long as the library.
        return {StatusCode::corrupt, sf_error_number(error), name};
    }

    Cursor cursor_;
    std::unique_ptr<SNDFILE, Close> file_;
    uint64_t n_frames_ = 0;  // read so far
};

}  // namespace

Result<SoundSourcePtr> open_sndfile(SoundBytes& bytes) {
    auto source = std::make_unique<SndfileSource>(bytes);
    GEMLET_TRY(source->open());
    return SoundSourcePtr(std::move(source));
}

}  // namespace gemlet::audio
