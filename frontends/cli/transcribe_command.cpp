// gemlet transcribe: recordings to transcripts. One model, one decoder; files one after the other,
// their pieces several at a time.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>

#include "frontends/cli/commands.h"
#include "frontends/cli/interrupt.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/progress.h"
#include "frontends/cli/streams.h"
#include "frontends/text/chat_model.h"
#include "frontends/transcribe/languages.h"
#include "frontends/transcribe/live.h"
#include "frontends/transcribe/transcriber.h"
#include "frontends/transcribe/words.h"
#include "frontends/transcribe/writers.h"

namespace gemlet {
namespace {

namespace fs = std::filesystem;

constexpr int kUsageExit = 2;
constexpr size_t kMostHints = 1000;  // characters

/// One recording and where its transcript goes.
struct Job {
    std::string sound;    // empty: standard input
    std::string output;   // empty: standard output
    std::string journal;  // empty: none
};

struct Setup {
    SpeechTask task;
    SegmenterOptions segments;
    TranscriptFormat format = TranscriptFormat::txt;
    std::vector<Job> jobs;
};

Failure wrong_usage(const char* text, const std::string& subject = {}) {
    Failure failure(Status(StatusCode::bad_argument, text, subject));
    failure.exit_code = kUsageExit;
    return failure;
}

Failure read_task(const Options& options, SpeechTask& task) {
    for (const auto& [given, name] : {std::pair(&options.language, &task.language),
                                      std::pair(&options.translate_to, &task.target)}) {
        if (given->empty()) continue;
        Result<std::string> known = language_name(*given);
        if (!known) {
            Failure failure(known.error());
            failure.exit_code = kUsageExit;
            return failure;
        }
        *name = std::move(*known);
    }
    if (options.hints.size() > kMostHints) return wrong_usage("at most 1000 bytes", "--hints");
    task.hints = options.hints;
    return {};
}

Failure plan_jobs(const Options& options, Setup& setup) {
    const bool from_input = options.live || options.stdin_rate > 0;
    if (from_input != options.sounds.empty()) {
        return wrong_usage(from_input ? "sound comes from standard input: name no files"
                                      : "no recording: name files, or give --stdin-rate");
    }
    if (options.live && options.stdin_rate == 0) {
        return wrong_usage("needs --stdin-rate, such as 16000", "--live");
    }
    if (options.live && setup.format != TranscriptFormat::txt &&
        setup.format != TranscriptFormat::json) {
        return wrong_usage("writes txt or json", "--live");
    }
    if (from_input) {
        setup.jobs.push_back({});
        return options.output_folder.empty() ? Failure() : wrong_usage("is for files", "--output");
    }
    if (options.output_folder.empty()) {
        if (options.sounds.size() > 1)
            return wrong_usage("several recordings need a folder: -o DIR");
        setup.jobs.push_back({options.sounds.front(), {}, {}});
        return {};
    }
    std::map<std::string, std::string> taken;
    for (const std::string& sound : options.sounds) {
        const std::string stem = fs::path(sound).stem().string();
        const std::string base = (fs::path(options.output_folder) / stem).string();
        const std::string output = base + "." + extension_of(setup.format);
        if (!taken.emplace(output, sound).second) {
            return wrong_usage("two recordings would give this transcript", output);
        }
        setup.jobs.push_back({sound, output, base + ".gemlet-journal"});
    }
    return {};
}

/// Whether an earlier run has finished this one.
bool is_done(const Job& job) {
    std::error_code fault;
    if (!fs::exists(job.output, fault) || fs::exists(job.journal, fault)) return false;
    const auto written = fs::last_write_time(job.output, fault);
    const auto recorded = fault ? fs::file_time_type() : fs::last_write_time(job.sound, fault);
    return !fault && written >= recorded;
}

Result<std::unique_ptr<audio::SoundReader>> open_sound(const Options& options, const Job& job) {
    if (!job.sound.empty()) return audio::SoundReader::open(job.sound);
    return audio::SoundReader::raw_pcm16(STDIN_FILENO, options.stdin_rate);
}

/// A person who stops wants to know what is left.
void note_stopped(const Journal* journal) {
    if (journal == nullptr) return;
    std::fprintf(stderr,
                 "gemlet: stopped; finished pieces are in %s: the same command with "
                 "--resume goes on from there\n",
                 journal->path().c_str());
}

class Run {
  public:
    Run(const Options& options, const Setup& setup, PieceDecoder& decoder)
        : options_(options), setup_(setup), decoder_(decoder) {}

    Failure transcribe_job(const Job& job) {
        if (options_.resume && is_done(job)) {
            std::fprintf(stderr, "gemlet: %s is there already\n", job.output.c_str());
            return {};
        }
        TranscribeRequest request;
        request.task = setup_.task;
        request.segments = setup_.segments;
        request.retry = !options_.no_retry;
        request.cancel = &InterruptScope::flag();
        Result<std::unique_ptr<audio::SoundReader>> sound = open_sound(options_, job);
        if (!sound) return {sound.error(), job.sound};
        std::unique_ptr<Journal> journal;
        if (!job.journal.empty()) {
            if (Failure failure = open_journal(job, request, journal); !failure.ok())
                return failure;
        }
        return write_transcript_of(**sound, job, request);
    }

    Failure live() {
        Result<std::unique_ptr<audio::SoundReader>> sound = open_sound(options_, setup_.jobs[0]);
        if (!sound) return {sound.error(), "standard input"};
#ifdef F_SETPIPE_SZ
        // Room for half a minute of sound while an answer is computed, where input is a pipe.
        constexpr int kPipeBytes = 1 << 20;
        (void)fcntl(STDIN_FILENO, F_SETPIPE_SZ, kPipeBytes);
#endif
        LiveRequest request;
        request.task = setup_.task;
        request.segments = setup_.segments;
        request.cancel = &InterruptScope::flag();
        request.behind = [] {
            // Half a second of 16 kHz: more than arrives between two reads.
            constexpr int kBacklogBytes = 16000;
            int n_waiting = 0;
            return ioctl(STDIN_FILENO, FIONREAD, &n_waiting) == 0 && n_waiting > kBacklogBytes;
        };
        // A person sees drafts change in place; programs get lines.
        const bool in_place = output_is_terminal() && setup_.format == TranscriptFormat::txt;
        request.on_text = [this, in_place](const TranscriptSegment& segment, bool draft) {
            if (!in_place) return out_.write_line(live_line(segment, draft));
            out_.write("\r\033[K" + live_line(segment, draft) + (draft ? "" : "\n"));
            return out_.flush();
        };
        if (const Status status = transcribe_live(**sound, decoder_, request); !status.ok()) {
            return {status, "standard input"};
        }
        return out_.finish();
    }

  private:
    Failure open_journal(const Job& job, TranscribeRequest& request,
                         std::unique_ptr<Journal>& journal) {
        const Result<JournalKey> key =
            journal_key(job.sound, settings_line(request, options_.model));
        if (!key) return {key.error(), job.sound};
        Result<std::unique_ptr<Journal>> opened = Journal::open(job.journal, *key, options_.resume);
        if (!opened) return {opened.error(), job.journal};
        journal = std::move(*opened);
        request.journal = journal.get();
        return {};
    }

    Failure write_transcript_of(audio::SoundReader& sound, const Job& job,
                                TranscribeRequest& request) {
        const std::string name = fs::path(job.sound).filename().string();
        const double duration = sound.duration_s().value_or(0);
        ProgressBar bar(name.empty() ? "seconds" : name.c_str(),
                        static_cast<size_t>(std::ceil(std::max(0.0, duration))));
        request.on_progress = [&](double seconds) {
            if (duration > 0) bar.update(static_cast<size_t>(std::min<double>(seconds, duration)));
        };
        // Plain text goes out as it becomes final: somebody may be reading.
        const bool streams = job.output.empty() && setup_.format == TranscriptFormat::txt;
        std::string text;
        if (streams) {
            request.on_segment = [&](const TranscriptSegment& segment) {
                const size_t shown = text.size();
                append_text(text, setup_.task.target.empty() ? segment.text : segment.translation);
                out_.write(std::string_view(text).substr(shown));
                if (!out_.flush()) InterruptScope::flag() = true;
            };
        }
        const Result<Transcript> transcript = transcribe(sound, decoder_, request);
        if (!transcript) {
            if (transcript.error().code() == StatusCode::cancelled) note_stopped(request.journal);
            return {transcript.error(), job.sound};
        }
        if (streams) {
            if (!text.empty()) out_.write("\n");
            return out_.finish();
        }
        const std::string bytes = write_transcript(*transcript, setup_.format);
        if (job.output.empty()) {
            out_.write(bytes);
            return out_.finish();
        }
        if (const Status status = replace_file(job.output, bytes); !status.ok()) {
            return {status, job.output};
        }
        if (request.journal != nullptr) request.journal->remove();
        return {};
    }

    std::string live_line(const TranscriptSegment& segment, bool draft) const {
        const bool translated = !setup_.task.target.empty();
        const std::string& text = translated ? segment.translation : segment.text;
        if (setup_.format == TranscriptFormat::txt) return draft ? "~ " + text : text;
        const auto seconds = [](double value) {
            return Json::of_number(std::round(value * 1000) / 1000);
        };
        Json line = Json::object();
        line.set("type", Json::of(draft ? "partial" : "final"))
            .set("start", seconds(segment.start))
            .set("end", seconds(segment.end))
            .set("text", Json::of(text));
        if (translated) line.set("source_text", Json::of(segment.text));
        return write_json(line);
    }

    const Options& options_;
    const Setup& setup_;
    PieceDecoder& decoder_;
    Output out_;
};

/// Opens model and decoder and does what was planned.
Failure work(const Options& options, const Setup& setup) {
    EngineOptions engine = engine_options(options);
    engine.parallel = options.live ? 1 : options.parallel;
    if (engine.context == 0) {
        engine.context = decoder_context(setup.segments.max_seconds, setup.task);
    }
    std::string fault_file;
    const Result<ChatModel> model = open_chat_model(options.model, engine, fault_file);
    if (!model) return {model.error(), fault_file};
    DecoderOptions decoding;
    decoding.parallel = engine.parallel;
    decoding.encoder = sound_options(options);
    if (options.seed) decoding.seed = *options.seed;
    const Result<std::unique_ptr<PieceDecoder>> decoder =
        PieceDecoder::create(*model, decoding, fault_file);
    if (!decoder) return {decoder.error(), fault_file};

    const InterruptScope interrupt(false);
    Run run(options, setup, **decoder);
    if (options.live) return run.live();
    for (const Job& job : setup.jobs) {
        Failure failure = run.transcribe_job(job);
        if (failure.status.code() == StatusCode::cancelled) failure.exit_code = kInterruptedExit;
        if (!failure.ok()) return failure;
    }
    return {};
}

}  // namespace

Failure transcribe_command(const Options& options) {
    Setup setup;
    setup.segments.max_seconds = options.max_segment_seconds;
    setup.segments.pause_seconds = options.pause_seconds;
    setup.segments.overlap_seconds = std::min(1.0, options.max_segment_seconds / 4);
    const std::string format = options.json ? "json" : options.format;
    if (!format.empty()) setup.format = transcript_format(format).value_or(TranscriptFormat::txt);
    if (Failure failure = read_task(options, setup.task); !failure.ok()) return failure;
    if (Failure failure = plan_jobs(options, setup); !failure.ok()) return failure;
    if (!options.output_folder.empty()) {
        std::error_code fault;
        fs::create_directories(options.output_folder, fault);
        if (fault) {
            return {
                Status(StatusCode::io, "cannot be created", options.output_folder, fault.value())};
        }
    }
    return work(options, setup);
}

}  // namespace gemlet
