// Recordings to text. One recording at a time, its pieces several together, beside the chats: both
// take turns on the same workers. A recording is read through once before the answer begins, so
// that a broken one is refused and not broken off.
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "frontends/audio/sound_reader.h"
#include "frontends/server/api/speech_request.h"
#include "frontends/server/completion_json.h"
#include "frontends/server/endpoints.h"
#include "frontends/transcribe/transcriber.h"
#include "frontends/transcribe/words.h"
#include "frontends/transcribe/writers.h"

namespace gemlet::server {
namespace {

constexpr std::chrono::milliseconds kLook{50};

/// Reads the whole sound. `seconds` receives its length.
ApiError check_sound(std::span<const uint8_t> bytes, const Limits& limits, double& seconds) {
    Result<std::unique_ptr<audio::SoundReader>> reader = audio::SoundReader::from_memory(bytes);
    if (!reader) return bad_request("file: " + reader.error().message(), "file");
    std::vector<float> block(size_t{1} << 16U);
    size_t n_samples = 0;
    while (true) {
        const Result<size_t> n = (*reader)->read(block);
        if (!n) return bad_request("file: " + n.error().message(), "file");
        if (*n == 0) break;
        n_samples += *n;
        seconds = static_cast<double>(n_samples) / audio::kSoundRate;
        if (seconds > limits.recording_seconds)
            return too_large("file is a longer recording than allowed");
    }
    return {};
}

/// Counts those who wait for the decoder, and keeps them few.
class Waiting {
  public:
    explicit Waiting(Service& service) : service_(service) {
        is_in_ = ++service.n_speech_waiting <= service.options.scheduling.queue + 1;
    }
    ~Waiting() { --service_.n_speech_waiting; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    bool is_in() const { return is_in_; }

  private:
    Service& service_;
    bool is_in_ = false;
};

struct SpeechWork {
    std::shared_ptr<Waiting> waiting;
    SpeechRequest request;
    double seconds = 0;
};

/// Opens the decoder with the first recording. The caller holds speech_mutex.
Status open_decoder(Service& service) {
    if (service.speech != nullptr) return {};
    DecoderOptions options;
    options.parallel = service.options.speech_slots;
    options.encoder = service.options.sounds;
    std::string fault_file;
    Result<std::unique_ptr<PieceDecoder>> opened =
        PieceDecoder::create(service.model, options, fault_file);
    GEMLET_TRY(opened);
    service.speech = std::move(*opened);
    return {};
}

using Alive = std::function<bool()>;

/// Nobody waits for the answer, or the server is about to end.
bool must_end(const Service& service, const Alive& alive) {
    return service.draining || (alive && !alive());
}

/// Takes the decoder, looking after the client meanwhile. Not locked: it must end.
std::unique_lock<TimedLock> take_decoder(Service& service, const Alive& alive) {
    std::unique_lock<TimedLock> lock(service.speech_mutex, std::defer_lock);
    while (!lock.try_lock_for(kLook)) {
        if (must_end(service, alive)) break;
    }
    return lock;
}

/// What the decoder did between two looks at its counts.
struct SpeechUsage {
    DecoderCounts before;
    DecoderCounts after;

    Json json() const {
        const auto number = [](size_t n) { return Json::of_integer(static_cast<int64_t>(n)); };
        const size_t n_input = after.prompt_tokens - before.prompt_tokens;
        const size_t n_audio = after.audio_tokens - before.audio_tokens;
        const size_t n_output = after.tokens - before.tokens;
        Json details = Json::object();
        details.set("audio_tokens", number(n_audio)).set("text_tokens", number(n_input - n_audio));
        Json usage = Json::object();
        usage.set("type", Json::of("tokens"))
            .set("input_tokens", number(n_input))
            .set("input_token_details", std::move(details))
            .set("output_tokens", number(n_output))
            .set("total_tokens", number(n_input + n_output));
        return usage;
    }
};

struct Transcribed {
    Transcript transcript;
    SpeechUsage usage;
};

using SegmentSink = std::function<void(const TranscriptSegment& segment)>;

/// Transcribes on a thread of its own while this one looks after the client.
Result<Transcribed> transcribe_for(Service& service, const SpeechWork& work, const Alive& alive,
                                   const SegmentSink& on_segment) {
    const std::unique_lock<TimedLock> lock = take_decoder(service, alive);
    if (!lock.owns_lock()) return Status(StatusCode::cancelled, "nobody waits for it");
    if (service.speech == nullptr)
        return Status(StatusCode::unsupported, "the model takes no sound");
    std::atomic<bool> cancel = false;
    TranscribeRequest request;
    request.task = work.request.task;
    request.segments = work.request.segments;
    request.temperature = work.request.temperature;
    request.cancel = &cancel;
    request.on_segment = on_segment;
    Result<std::unique_ptr<audio::SoundReader>> sound =
        audio::SoundReader::from_memory(work.request.file);
    GEMLET_TRY(sound);
    Transcribed done;
    done.usage.before = service.speech->counts();
    const auto start = std::chrono::steady_clock::now();
    std::future<Result<Transcript>> result = std::async(
        std::launch::async, [&] { return transcribe(**sound, *service.speech, request); });
    while (result.wait_for(kLook) != std::future_status::ready) {
        if (must_end(service, alive)) cancel = true;
    }
    const auto took = std::chrono::steady_clock::now() - start;
    if (cancel) service.metrics.count_cancellation();
    service.metrics.count_sound(work.seconds,
                                std::chrono::duration_cast<std::chrono::nanoseconds>(took).count());
    Result<Transcript> transcript = result.get();
    GEMLET_TRY(transcript);
    done.transcript = std::move(*transcript);
    done.usage.after = service.speech->counts();
    return done;
}

Json text_json(const Transcribed& done) {
    Json usage = done.usage.json();
    Json json = Json::object();
    json.set("text", Json::of(transcript_text(done.transcript))).set("usage", std::move(usage));
    return json;
}

std::string body_of(const Transcribed& done, SpeechFormat format) {
    const Transcript& transcript = done.transcript;
    switch (format) {
        case SpeechFormat::json:
            return write_json(text_json(done));
        case SpeechFormat::text:
            return transcript_text(transcript) + "\n";
        case SpeechFormat::srt:
            return write_transcript(transcript, TranscriptFormat::srt);
        case SpeechFormat::vtt:
            return write_transcript(transcript, TranscriptFormat::vtt);
        case SpeechFormat::verbose_json:
            break;
    }
    return write_json(transcript_json(transcript));
}

const char* type_of(SpeechFormat format) {
    switch (format) {
        case SpeechFormat::text:
            return "text/plain; charset=utf-8";
        case SpeechFormat::srt:
            return "application/x-subrip";
        case SpeechFormat::vtt:
            return "text/vtt";
        case SpeechFormat::json:
        case SpeechFormat::verbose_json:
            break;
    }
    return "application/json";
}

/// What a transcript that did not become complete is refused with.
ApiError broken_off(const Service& service, const Status& status) {
    if (status.code() == StatusCode::unsupported) return not_supported("the model takes no sound");
    if (status.code() != StatusCode::cancelled) return server_fault();
    return service.draining ? unavailable("shutting down") : client_gone();
}

bool write_events(Service& service, const SpeechWork& work, HttpSink& sink) {
    std::string text;
    const bool translated = !work.request.task.target.empty();
    const SegmentSink on_segment = [&](const TranscriptSegment& segment) {
        const size_t shown = text.size();
        append_text(text, translated ? segment.translation : segment.text);
        if (text.size() == shown) return;
        Json event = Json::object();
        event.set("type", Json::of("transcript.text.delta"))
            .set("delta", Json::of(std::string_view(text).substr(shown)));
        (void)sink.write(event_of(event));  // a client that is gone is noticed by the other thread
    };
    const Result<Transcribed> transcript = transcribe_for(
        service, work, [&] { return sink.alive(); }, on_segment);
    if (!transcript) {
        (void)sink.write(event_of(broken_off(service, transcript.error()).json()));
        return false;
    }
    Json done = text_json(*transcript);
    Json event = Json::object();
    event.set("type", Json::of("transcript.text.done"));
    for (Json::Member& member : done.members) event.set(member.first, std::move(member.second));
    return sink.write(event_of(event)) && sink.write("data: [DONE]\n\n");
}

HttpResponse answer(Service& service, const HttpRequest& http, bool translate) {
    if (!http.is_form) {
        return error_response(bad_request("this path takes multipart/form-data with a file"));
    }
    SpeechWork work;
    ApiError error =
        read_speech_request(http.form, translate, service.options.limits, work.request);
    if (error.ok()) error = check_model(service, work.request.model);
    if (error.ok()) error = check_sound(work.request.file, service.options.limits, work.seconds);
    if (!error.ok()) return error_response(error);
    work.waiting = std::make_shared<Waiting>(service);
    if (!work.waiting->is_in()) return error_response(queue_full());
    {
        // Who waits for the decoder need not wait for this: it is open then.
        const std::unique_lock<TimedLock> lock(service.speech_mutex, std::try_to_lock);
        if (lock.owns_lock()) {
            const Status status = open_decoder(service);
            if (!status.ok()) return error_response(broken_off(service, status));
        }
    }
    if (work.request.stream) {
        return event_response([&service, work = std::move(work)](HttpSink& sink) {
            return write_events(service, work, sink);
        });
    }
    const Result<Transcribed> done = transcribe_for(service, work, http.alive, {});
    if (!done) return error_response(broken_off(service, done.error()));
    HttpResponse response;
    response.type = type_of(work.request.format);
    response.body = body_of(*done, work.request.format);
    return response;
}

}  // namespace

HttpResponse post_transcriptions(Service& service, const HttpRequest& request) {
    return answer(service, request, false);
}

HttpResponse post_translations(Service& service, const HttpRequest& request) {
    return answer(service, request, true);
}

}  // namespace gemlet::server
