// Video files through FFmpeg's libraries. Two passes over the file: the first only splits it into
// packets, to count frames and to see when each is shown; the second decodes, but of the packets
// between two frames we want only those since the last key frame. Frames count in the order they
// are shown. The list of containers keeps out those that name other files or addresses (playlists,
// concatenations).
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libswscale/swscale.h>
}

#include <algorithm>
#include <cstring>
#include <memory>

#include "core/guard.h"
#include "frontends/image/formats/format_readers.h"
#include "frontends/image/resize.h"
#include "frontends/image/video.h"

namespace gemlet::image {
namespace {

constexpr const char* kFormat = "video";
constexpr const char* kContainers =
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,ogg,flv,mpeg,mpegts,asf,ivf";
// Ten hours at 60 frames a second.
constexpr size_t kMaxPackets = 2'160'000;

template <class T, void (*kFree)(T**)>
struct Free {
    void operator()(T* pointer) const { kFree(&pointer); }
};
void free_scaler(SwsContext** scaler) { sws_freeContext(*scaler); }

using Container = std::unique_ptr<AVFormatContext, Free<AVFormatContext, avformat_close_input>>;
using Decoder = std::unique_ptr<AVCodecContext, Free<AVCodecContext, avcodec_free_context>>;
using Packet = std::unique_ptr<AVPacket, Free<AVPacket, av_packet_free>>;
using Frame = std::unique_ptr<AVFrame, Free<AVFrame, av_frame_free>>;
using Scaler = std::unique_ptr<SwsContext, Free<SwsContext, free_scaler>>;

Status damaged() { return {StatusCode::corrupt, "the video's data is damaged", kFormat}; }

struct PacketTime {
    int64_t shown;  // in the stream's time base
    bool is_key;
};

struct Video {
    Container container;
    Decoder decoder;
    AVStream* stream = nullptr;  // of the container
    std::vector<PacketTime> packets;
    size_t n_hidden = 0;
};

Result<Container> open_container(const std::string& path) {
    AVDictionary* settings = nullptr;
    av_dict_set(&settings, "protocol_whitelist", "file", 0);
    av_dict_set(&settings, "format_whitelist", kContainers, 0);
    AVFormatContext* opened = nullptr;
    // With the protocol named, so that a path with a colon is not taken for an address.
    const int error = avformat_open_input(&opened, ("file:" + path).c_str(), nullptr, &settings);
    av_dict_free(&settings);
    Container container(opened);
    if (error == AVERROR(ENOENT)) return Status(StatusCode::not_found, "no such file", path);
    if (error == AVERROR(EACCES)) return Status(StatusCode::io, "cannot be read", path);
    if (error < 0) {
        return Status(StatusCode::unsupported, "not a video in a format known here", path);
    }
    if (avformat_find_stream_info(container.get(), nullptr) < 0) return damaged();
    return container;
}

Result<Video> open_video(const std::string& path, const PictureLimits& limits) {
    Result<Container> container = open_container(path);
    GEMLET_TRY(container);
    Video video;
    video.container = std::move(*container);
    const AVCodec* codec = nullptr;
    const int index =
        av_find_best_stream(video.container.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (index < 0 || codec == nullptr) {
        return Status(StatusCode::unsupported, "no pictures that can be decoded", path);
    }
    for (unsigned i = 0; i < video.container->nb_streams; ++i) {
        if (static_cast<int>(i) != index) video.container->streams[i]->discard = AVDISCARD_ALL;
    }
    video.stream = video.container->streams[index];
    const AVCodecParameters& parameters = *video.stream->codecpar;
    GEMLET_TRY(check_picture_size(static_cast<uint64_t>(std::max(parameters.width, 0)),
                                  static_cast<uint64_t>(std::max(parameters.height, 0)), limits,
                                  kFormat));
    video.decoder.reset(avcodec_alloc_context3(codec));
    if (video.decoder == nullptr) return Status(StatusCode::out_of_memory, "not enough memory");
    video.decoder->max_pixels = static_cast<int64_t>(limits.max_pixels);
    video.decoder->err_recognition = AV_EF_EXPLODE;
    if (avcodec_parameters_to_context(video.decoder.get(), &parameters) < 0 ||
        avcodec_open2(video.decoder.get(), codec, nullptr) < 0) {
        return Status(StatusCode::unsupported, "the video's compression is not known", path);
    }
    return video;
}

// Reads the next packet of the video's stream that is shown; skipped ones are counted. Returns
// FFmpeg's error, which is AVERROR_EOF at the end.
int next_packet(Video& video, AVPacket& packet) {
    for (;; ++video.n_hidden) {
        av_packet_unref(&packet);
        const int error = av_read_frame(video.container.get(), &packet);
        if (error < 0) return error;
        const bool is_shown = (static_cast<unsigned>(packet.flags) & AV_PKT_FLAG_DISCARD) == 0;
        if (packet.stream_index == video.stream->index && is_shown) return 0;
    }
}

int64_t time_of(const AVPacket& packet) {
    return packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
}

Status list_packets(Video& video, AVPacket& packet) {
    int error = 0;
    while ((error = next_packet(video, packet)) == 0) {
        if (video.packets.size() == kMaxPackets) {
            return {StatusCode::bad_argument, "the video has too many frames", kFormat};
        }
        const bool is_key = (static_cast<unsigned>(packet.flags) & AV_PKT_FLAG_KEY) != 0;
        video.packets.push_back({time_of(packet), is_key});
    }
    // What an MP4's index promises but the file no longer holds is not reported as an error.
    const bool has_index = std::strncmp(video.container->iformat->name, "mov", 3) == 0;
    const int64_t n_packets = static_cast<int64_t>(video.packets.size() + video.n_hidden);
    if (error != AVERROR_EOF || (has_index && n_packets < video.stream->nb_frames)) {
        return {StatusCode::corrupt, "the video ends before its data does", kFormat};
    }
    if (video.packets.empty()) return damaged();
    const int rewound = av_seek_frame(video.container.get(), video.stream->index,
                                      video.packets[0].shown, AVSEEK_FLAG_BACKWARD);
    return rewound < 0 ? damaged() : Status();
}

// The number of the packet from which decoding has to start for a frame shown then.
size_t key_before(const std::vector<PacketTime>& packets, int64_t shown) {
    size_t key = 0;
    for (size_t i = 0; i < packets.size(); ++i) {
        if (packets[i].is_key && packets[i].shown <= shown) key = i;
    }
    return key;
}

unsigned orientation_of(const AVStream& stream) {
    const auto* matrix = reinterpret_cast<const int32_t*>(
        av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, nullptr));
    if (matrix == nullptr) return 1;
    const double turned = av_display_rotation_get(matrix);  // degrees counterclockwise, may be NaN
    if (turned > 45 && turned < 135) return 8;
    if (turned < -45 && turned > -135) return 6;
    return turned >= 135 || turned <= -135 ? 3 : 1;
}

Result<Picture> picture_of(const AVFrame& frame, const PictureLimits& limits) {
    const auto width = static_cast<size_t>(std::max(frame.width, 0));
    const auto height = static_cast<size_t>(std::max(frame.height, 0));
    GEMLET_TRY(check_picture_size(width, height, limits, kFormat));
    const Scaler scaler(sws_getContext(
        frame.width, frame.height, static_cast<AVPixelFormat>(frame.format), frame.width,
        frame.height, AV_PIX_FMT_RGB24, SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT,
        nullptr, nullptr, nullptr));
    if (scaler == nullptr) {
        return Status(StatusCode::unsupported, "the video's colours are not known", kFormat);
    }
    Picture picture = {width, height, std::vector<uint8_t>(width * height * 3)};
    uint8_t* const planes[4] = {picture.pixels.data(), nullptr, nullptr, nullptr};
    const int strides[4] = {frame.width * 3, 0, 0, 0};
    if (sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides) !=
        frame.height) {
        return damaged();
    }
    return picture;
}

// Feeds packets until the decoder gives the frame shown at that time (or, where times are missing
// or wrong, the first one behind it).
class FrameReader {
  public:
    explicit FrameReader(Video& video, AVPacket& packet) : video_(video), packet_(packet) {}

    Status read_until(int64_t shown, AVFrame& frame) {
        const size_t key = key_before(video_.packets, shown);
        if (key > next_) {
            avcodec_flush_buffers(video_.decoder.get());
            while (next_ < key && next_packet(video_, packet_) == 0) ++next_;
        }
        for (;;) {
            const int got = avcodec_receive_frame(video_.decoder.get(), &frame);
            if (got == 0) {
                const int64_t at = frame.best_effort_timestamp;
                if (at == AV_NOPTS_VALUE || at >= shown) return {};
            } else if (got != AVERROR(EAGAIN) || ended_) {
                return damaged();
            } else if (next_ < video_.packets.size() && next_packet(video_, packet_) == 0) {
                ++next_;
                if (avcodec_send_packet(video_.decoder.get(), &packet_) < 0) return damaged();
            } else {
                ended_ = true;
                if (avcodec_send_packet(video_.decoder.get(), nullptr) < 0) return damaged();
            }
        }
    }

  private:
    Video& video_;
    AVPacket& packet_;
    size_t next_ = 0;  // packet to be read
    bool ended_ = false;
};

Status read_frames(const std::string& path, const VideoOptions& options,
                   const VideoFrameSink& take) {
    Result<Video> opened = open_video(path, options.limits);
    GEMLET_TRY(opened);
    Video& video = *opened;
    const Packet packet(av_packet_alloc());
    const Frame frame(av_frame_alloc());
    if (packet == nullptr || frame == nullptr) {
        return Status(StatusCode::out_of_memory, "not enough memory");
    }
    GEMLET_TRY(list_packets(video, *packet));
    std::vector<int64_t> shown(video.packets.size());
    std::transform(video.packets.begin(), video.packets.end(), shown.begin(),
                   [](const PacketTime& time) { return time.shown; });
    std::sort(shown.begin(), shown.end());

    AVRational rate = av_guess_frame_rate(video.container.get(), video.stream, nullptr);
    const double frames_per_second = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : 24.0;
    const auto indices = sample_frames(shown.size(), frames_per_second, options);
    GEMLET_TRY(indices);
    const unsigned orientation = orientation_of(*video.stream);
    PictureSize first;
    FrameReader reader(video, *packet);
    for (const size_t index : *indices) {
        GEMLET_TRY(reader.read_until(shown[index], *frame));
        Result<Picture> picture = picture_of(*frame, options.limits);
        GEMLET_TRY(picture);
        turn_upright(*picture, orientation);
        if (first.width == 0) first = {picture->width, picture->height};
        if (first.width != picture->width || first.height != picture->height) {
            return Status(StatusCode::unsupported, "the video changes its size", path);
        }
        GEMLET_TRY(take({std::move(*picture), static_cast<double>(index) / frames_per_second}));
    }
    return {};
}

}  // namespace

Status read_video_frames(const std::string& path, const VideoOptions& options,
                         const VideoFrameSink& take) {
    av_log_set_level(AV_LOG_QUIET);  // FFmpeg has one level for the whole process
    return guard([&] { return read_frames(path, options, take); });
}

}  // namespace gemlet::image
