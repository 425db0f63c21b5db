// The sound tracks of files that libsndfile does not read, through FFmpeg's libraries: M4A, videos,
// raw AAC .. The file is read through us, and nothing else is ever opened: the list of containers
// keeps out those that name other files or addresses, and opening one is refused besides.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
}

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,ogg,flv,mpeg,mpegts,asf,aac,ac3,eac3,amr,w64,wv,"
    "ape,caf,aiff,wav,mp3,flac,au";
constexpr int kBufferBytes = 1 << 16;

template <class T, void (*kFree)(T**)>
struct Free {
    void operator()(T* pointer) const { kFree(&pointer); }
};
// The buffer may have been replaced by a larger one, so it is not ours to keep.
void free_io(AVIOContext** io) {
    if (*io != nullptr) av_freep(&(*io)->buffer);
    avio_context_free(io);
}

using Io = std::unique_ptr<AVIOContext, Free<AVIOContext, free_io>>;
using Container = std::unique_ptr<AVFormatContext, Free<AVFormatContext, avformat_close_input>>;
using Decoder = std::unique_ptr<AVCodecContext, Free<AVCodecContext, avcodec_free_context>>;
using Packet = std::unique_ptr<AVPacket, Free<AVPacket, av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, Free<AVFrame, av_frame_free>>;

struct Cursor {
    SoundBytes* bytes = nullptr;
    int64_t at = 0;
};

int read_bytes(void* user, uint8_t* out, int n) {
    auto* cursor = static_cast<Cursor*>(user);
    if (n <= 0) return AVERROR_EOF;
    const size_t got =
        cursor->bytes->read_at(static_cast<uint64_t>(cursor->at), {out, static_cast<size_t>(n)});
    cursor->at += static_cast<int64_t>(got);
    return got == 0 ? AVERROR_EOF : static_cast<int>(got);
}

int64_t seek_bytes(void* user, int64_t offset, int whence) {
    auto* cursor = static_cast<Cursor*>(user);
    const auto size = static_cast<int64_t>(cursor->bytes->size());
    int64_t base = 0;
    const auto from = static_cast<unsigned>(whence) & ~static_cast<unsigned>(AVSEEK_FORCE);
    if (from == AVSEEK_SIZE) return size;
    if (from == SEEK_CUR) base = cursor->at;
    if (from == SEEK_END) base = size;
    int64_t at = 0;
    if (__builtin_add_overflow(base, offset, &at) || at < 0) return AVERROR(EINVAL);
    cursor->at = at;
    return at;
}

int refuse_to_open(AVFormatContext* /*container*/, AVIOContext** /*io*/, const char* /*url*/,
                   int /*flags*/, AVDictionary** /*options*/) {
    return AVERROR(EPERM);
}

// Copies a decoded frame's samples, [n, n_channels], whichever of FFmpeg's layouts they have.
template <class T>
void copy_samples(const AVFrame& frame, bool is_planar, float scale, float offset, size_t begin,
                  size_t n, size_t n_channels, float* out) {
    for (size_t channel = 0; channel < n_channels; ++channel) {
        const auto* samples =
            reinterpret_cast<const T*>(frame.extended_data[is_planar ? channel : 0]);
        const size_t step = is_planar ? 1 : n_channels;
        samples += begin * step + (is_planar ? 0 : channel);
        for (size_t i = 0; i < n; ++i) {
            out[i * n_channels + channel] = static_cast<float>(samples[i * step]) * scale - offset;
        }
    }
}

class FfmpegSource final : public SoundSource {
  public:
    explicit FfmpegSource(SoundBytes& bytes) : cursor_{&bytes, 0} {}

    Status open();
    Result<size_t> read(std::span<float> frames) override;

  private:
    Status open_container();
    Status open_decoder(const AVCodec* codec);
    Status next_frame(bool& has_ended);
    Status feed();
    Status take(size_t begin, size_t n, float* out) const;
    Status damaged() const {
        return {StatusCode::corrupt, "the sound's data is damaged", cursor_.bytes->name()};
    }

    Cursor cursor_;
    Io io_;  // outlives the container
    Container container_;
    Decoder decoder_;
    Packet packet_;
    Frame frame_;
    AVStream* stream_ = nullptr;  // of the container
    size_t n_taken_ = 0;          // samples of frame_
    int64_t n_packets_ = 0;
    bool is_fed_ = false;  // no packets are left
};

Status FfmpegSource::open_container() {
    auto* buffer = static_cast<uint8_t*>(av_malloc(kBufferBytes));
    if (buffer == nullptr) return {StatusCode::out_of_memory, "not enough memory"};
    io_.reset(
        avio_alloc_context(buffer, kBufferBytes, 0, &cursor_, read_bytes, nullptr, seek_bytes));
    if (io_ == nullptr) {
        av_free(buffer);
        return {StatusCode::out_of_memory, "not enough memory"};
    }
    AVFormatContext* opened = avformat_alloc_context();
    if (opened == nullptr) return {StatusCode::out_of_memory, "not enough memory"};
    opened->pb = io_.get();
    opened->io_open = refuse_to_open;
    AVDictionary* settings = nullptr;
    av_dict_set(&settings, "format_whitelist", kContainers, 0);
    const int error = avformat_open_input(&opened, nullptr, nullptr, &settings);
    av_dict_free(&settings);
    container_.reset(opened);
    GEMLET_TRY(cursor_.bytes->status());
    if (error < 0) {
        return {StatusCode::unsupported, "not a sound in a format known here",
                cursor_.bytes->name()};
    }
    return avformat_find_stream_info(container_.get(), nullptr) < 0 ? damaged() : Status();
}

Status FfmpegSource::open_decoder(const AVCodec* codec) {
    decoder_.reset(avcodec_alloc_context3(codec));
    packet_.reset(av_packet_alloc());
    frame_.reset(av_frame_alloc());
    if (decoder_ == nullptr || packet_ == nullptr || frame_ == nullptr) {
        return {StatusCode::out_of_memory, "not enough memory"};
    }
    decoder_->err_recognition = AV_EF_EXPLODE;
    decoder_->pkt_timebase = stream_->time_base;
    if (avcodec_parameters_to_context(decoder_.get(), stream_->codecpar) < 0 ||
        avcodec_open2(decoder_.get(), codec, nullptr) < 0) {
        return {StatusCode::unsupported, "a sound whose compression is not known",
                cursor_.bytes->name()};
    }
    return {};
}

Status FfmpegSource::open() {
    GEMLET_TRY(open_container());
    const AVCodec* codec = nullptr;
    const int index = av_find_best_stream(container_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, &codec, 0);
    if (index < 0 || codec == nullptr) {
        return {StatusCode::unsupported, "no sound that can be decoded", cursor_.bytes->name()};
    }
    for (unsigned i = 0; i < container_->nb_streams; ++i) {
        if (static_cast<int>(i) != index) container_->streams[i]->discard = AVDISCARD_ALL;
    }
    stream_ = container_->streams[index];
    GEMLET_TRY(open_decoder(codec));
    // The first frame says more than the header: HE-AAC has twice the rate it is marked with.
    bool has_ended = false;
    GEMLET_TRY(next_frame(has_ended));
    if (has_ended) {
        return {StatusCode::corrupt, "the sound holds no samples", cursor_.bytes->name()};
    }
    facts_.rate = frame_->sample_rate;
    facts_.n_channels = static_cast<size_t>(std::max(frame_->ch_layout.nb_channels, 0));
    const double seconds =
        stream_->duration > 0
            ? static_cast<double>(stream_->duration) * av_q2d(stream_->time_base)
            : static_cast<double>(container_->duration) / AV_TIME_BASE;  // negative when unknown
    const double n_frames = seconds * facts_.rate;
    if (n_frames >= 1 && n_frames < 1e15) facts_.n_frames = static_cast<uint64_t>(n_frames);
    return {};
}

// Gives the decoder the next packet of the track, or says that there is none.
Status FfmpegSource::feed() {
    for (;;) {
        av_packet_unref(packet_.get());
        const int error = av_read_frame(container_.get(), packet_.get());
        GEMLET_TRY(cursor_.bytes->status());
        if (error == AVERROR_EOF) break;
        if (error < 0) return damaged();
        if (packet_->stream_index != stream_->index) continue;
        ++n_packets_;
        return avcodec_send_packet(decoder_.get(), packet_.get()) < 0 ? damaged() : Status();
    }
    // What an MP4's index promises but the file no longer holds is not reported as an error.
    const bool has_index = std::strncmp(container_->iformat->name, "mov", 3) == 0;
    if (has_index && n_packets_ < stream_->nb_frames) {
        return {StatusCode::corrupt, "the file ends before its sound does", cursor_.bytes->name()};
    }
    is_fed_ = true;
    return avcodec_send_packet(decoder_.get(), nullptr) < 0 ? damaged() : Status();
}

Status FfmpegSource::next_frame(bool& has_ended) {
    n_taken_ = 0;
    for (;;) {
        const int got = avcodec_receive_frame(decoder_.get(), frame_.get());
        has_ended = got == AVERROR_EOF;
        if (has_ended || (got == 0 && frame_->nb_samples > 0)) return {};
        if (got == 0) continue;
        if (got != AVERROR(EAGAIN) || is_fed_) return damaged();
        GEMLET_TRY(feed());
    }
}

Status FfmpegSource::take(size_t begin, size_t n, float* out) const {
    const auto format = static_cast<AVSampleFormat>(frame_->format);
    const bool is_planar = av_sample_fmt_is_planar(format) != 0;
    const size_t n_channels = facts_.n_channels;
    constexpr float kFull16 = 1.0F / 32768.0F;
    constexpr float kFull32 = 1.0F / 2147483648.0F;
    switch (av_get_packed_sample_fmt(format)) {
        case AV_SAMPLE_FMT_U8:
            copy_samples<uint8_t>(*frame_, is_planar, 1.0F / 128.0F, 1, begin, n, n_channels, out);
            return {};
        case AV_SAMPLE_FMT_S16:
            copy_samples<int16_t>(*frame_, is_planar, kFull16, 0, begin, n, n_channels, out);
            return {};
        case AV_SAMPLE_FMT_S32:
            copy_samples<int32_t>(*frame_, is_planar, kFull32, 0, begin, n, n_channels, out);
            return {};
        case AV_SAMPLE_FMT_FLT:
            copy_samples<float>(*frame_, is_planar, 1, 0, begin, n, n_channels, out);
            return {};
        case AV_SAMPLE_FMT_DBL:
            copy_samples<double>(*frame_, is_planar, 1, 0, begin, n, n_channels, out);
            return {};
        default:
            return {StatusCode::unsupported, "samples of an unknown kind", cursor_.bytes->name()};
    }
}

Result<size_t> FfmpegSource::read(std::span<float> frames) {
    if (n_taken_ == static_cast<size_t>(frame_->nb_samples)) {
        bool has_ended = false;
        GEMLET_TRY(next_frame(has_ended));
        if (has_ended) return size_t{0};
    }
    if (frame_->sample_rate != static_cast<int>(facts_.rate) ||
        frame_->ch_layout.nb_channels != static_cast<int>(facts_.n_channels)) {
        return Status(StatusCode::unsupported, "a sound that changes its rate or its channels",
                      cursor_.bytes->name());
    }
    const size_t n = std::min(frames.size() / facts_.n_channels,
                              static_cast<size_t>(frame_->nb_samples) - n_taken_);
    GEMLET_TRY(take(n_taken_, n, frames.data()));
    n_taken_ += n;
    return n;
}

}  // namespace

Result<SoundSourcePtr> open_ffmpeg(SoundBytes& bytes) {
    av_log_set_level(AV_LOG_QUIET);  // FFmpeg has one level for the whole process
    auto source = std::make_unique<FfmpegSource>(bytes);
    GEMLET_TRY(source->open());
    return SoundSourcePtr(std::move(source));
}

bool has_ffmpeg() { return true; }

}  // namespace gemlet::audio
