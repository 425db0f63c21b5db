// The way of a sound: bytes, decoder, check of every sample, average of the channels, 16 kHz.
// Blocks of fixed size go through it, so memory does not depend on the length.
#include "frontends/audio/sound_reader.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/guard.h"
#include "frontends/audio/resampler.h"
#include "frontends/audio/sound_format.h"
#include "frontends/audio/sound_source.h"

namespace gemlet::audio {
namespace {

constexpr size_t kBlockFrames = 4096;

Status check_facts(const SoundSource::Facts& facts, const SoundLimits& limits,
                   const std::string& name) {
    if (facts.n_channels == 0) return {StatusCode::corrupt, "a sound without channels", name};
    if (facts.n_channels > limits.max_channels) {
        return {StatusCode::bad_argument, "too many channels", name,
                static_cast<int64_t>(facts.n_channels)};
    }
    if (!(facts.rate >= limits.min_rate && facts.rate <= limits.max_rate)) {  // also NaN
        const bool is_number = std::isfinite(facts.rate) && std::abs(facts.rate) < 1e15;
        return {StatusCode::bad_argument, "samples a second out of range", name,
                is_number ? static_cast<int64_t>(facts.rate) : Status::kNoNumber};
    }
    return {};
}

Status no_samples(const std::string& name) {
    return {StatusCode::corrupt, "the sound holds no samples", name};
}

}  // namespace

struct SoundReader::State {
    std::string name;
    SoundLimits limits;
    std::unique_ptr<SoundBytes> bytes;  // outlives the source; none for raw samples
    SoundSourcePtr source;
    std::optional<Resampler> resampler;
    std::vector<float> frames;       // [kBlockFrames, n_channels]
    std::vector<float> mono;         // [kBlockFrames]
    std::span<const float> pending;  // of mono, not yet passed on
    uint64_t n_frames = 0;           // taken from the source
    uint64_t n_samples = 0;          // given to the caller
    bool has_ended = false;          // the source
    Status failure;

    Status prepare();
    Status fill();
    Status mix(size_t n);
    Result<size_t> deliver(std::span<float> out);
    Result<size_t> read(std::span<float> out);
};

Status SoundReader::State::prepare() {
    const SoundSource::Facts& facts = source->facts();
    GEMLET_TRY(check_facts(facts, limits, name));
    if (facts.n_frames && *facts.n_frames == 0) return no_samples(name);
    if (facts.rate != kSoundRate) {
        Result<Resampler> created = Resampler::create(facts.rate, kSoundRate);
        GEMLET_TRY(created);
        resampler = std::move(*created);
    }
    frames.resize(kBlockFrames * facts.n_channels);
    mono.resize(kBlockFrames);
    return {};
}

// Averages n frames into mono.
Status SoundReader::State::mix(size_t n) {
    const size_t n_channels = source->facts().n_channels;
    const float* frame = frames.data();
    for (size_t i = 0; i < n; ++i, frame += n_channels) {
        double sum = 0;
        for (size_t channel = 0; channel < n_channels; ++channel) {
            const auto sample = static_cast<double>(frame[channel]);
            if (!(std::abs(sample) <= limits.max_amplitude)) {  // also NaN
                return {StatusCode::corrupt,
                        std::isfinite(sample) ? "sample far beyond full scale, in frame"
                                              : "sample that is not a finite number, in frame",
                        name, static_cast<int64_t>(n_frames + i)};
            }
            sum += sample;
        }
        mono[i] = static_cast<float>(sum / static_cast<double>(n_channels));
    }
    return {};
}

// Puts the next block of the source into `pending`, or notices the end.
Status SoundReader::State::fill() {
    const Result<size_t> n = source->read(frames);
    GEMLET_TRY(n);
    GEMLET_TRY(mix(*n));
    n_frames += *n;
    pending = std::span<const float>(mono).first(*n);
    has_ended = *n == 0;
    return has_ended && n_frames == 0 ? no_samples(name) : Status();
}

// Passes samples on from `pending`, and at the end what the filter still holds.
Result<size_t> SoundReader::State::deliver(std::span<float> out) {
    Resampler::Step step;
    if (resampler) {
        const Result<Resampler::Step> done = resampler->process(pending, out);
        GEMLET_TRY(done);
        step = *done;
    } else {
        step.n_taken = step.n_given = std::min(pending.size(), out.size());
        std::copy_n(pending.begin(), step.n_taken, out.begin());
    }
    pending = pending.subspan(step.n_taken);
    return step.n_given;
}

Result<size_t> SoundReader::State::read(std::span<float> out) {
    const bool is_raw = bytes == nullptr;
    size_t n = 0;
    while (n < out.size()) {
        if (pending.empty() && !has_ended) {
            if (is_raw && n > 0) break;  // what has arrived
            GEMLET_TRY(fill());
        }
        const Result<size_t> given = deliver(out.subspan(n));
        GEMLET_TRY(given);
        n += *given;
        if (has_ended && *given == 0) break;
    }
    n_samples += n;
    return n;
}

SoundReader::SoundReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
SoundReader::~SoundReader() = default;

namespace {

// FFmpeg is for what the smaller libraries do not know.
Result<SoundSourcePtr> open_source(SoundBytes& bytes) {
    const SoundFormat format = identify_sound(bytes);
    GEMLET_TRY(bytes.status());
    GEMLET_TRY(check_sound_is_whole(bytes, format));
    if (format == SoundFormat::other) return open_ffmpeg(bytes);
    Result<SoundSourcePtr> source =
        format == SoundFormat::mp3 ? open_mp3(bytes) : open_sndfile(bytes);
    if (source || source.error().code() != StatusCode::unsupported || !has_ffmpeg()) return source;
    return open_ffmpeg(bytes);
}

}  // namespace

Result<std::unique_ptr<SoundReader>> SoundReader::open(const std::string& path,
                                                       const SoundLimits& limits) {
    return guard([&]() -> Result<std::unique_ptr<SoundReader>> {
        Result<std::unique_ptr<SoundBytes>> bytes = SoundBytes::open(path);
        GEMLET_TRY(bytes);
        return over(std::move(*bytes), limits);
    });
}

Result<std::unique_ptr<SoundReader>> SoundReader::from_memory(std::span<const uint8_t> bytes,
                                                              const SoundLimits& limits) {
    return guard([&]() -> Result<std::unique_ptr<SoundReader>> {
        Result<std::unique_ptr<SoundBytes>> borrowed = SoundBytes::of_memory(bytes);
        GEMLET_TRY(borrowed);
        return over(std::move(*borrowed), limits);
    });
}

Result<std::unique_ptr<SoundReader>> SoundReader::over(std::unique_ptr<SoundBytes> bytes,
                                                       const SoundLimits& limits) {
    auto state = std::make_unique<State>();
    state->name = bytes->name();
    state->limits = limits;
    Result<SoundSourcePtr> source = open_source(*bytes);
    GEMLET_TRY(source);
    state->bytes = std::move(bytes);
    state->source = std::move(*source);
    GEMLET_TRY(state->prepare());
    return std::unique_ptr<SoundReader>(new SoundReader(std::move(state)));
}

Result<std::unique_ptr<SoundReader>> SoundReader::raw_pcm16(int descriptor, double rate) {
    return guard([&]() -> Result<std::unique_ptr<SoundReader>> {
        auto state = std::make_unique<State>();
        state->name = "raw sound";
        Result<SoundSourcePtr> source = open_raw_pcm16(descriptor, rate);
        GEMLET_TRY(source);
        state->source = std::move(*source);
        GEMLET_TRY(state->prepare());
        return std::unique_ptr<SoundReader>(new SoundReader(std::move(state)));
    });
}

Result<size_t> SoundReader::read(std::span<float> out) {
    State& state = *state_;
    GEMLET_TRY(state.failure);
    const Result<size_t> n = guard([&] { return state.read(out); });
    if (!n && n.error().code() != StatusCode::cancelled) state.failure = n.error();
    return n;
}

std::optional<double> SoundReader::duration_s() const {
    const SoundSource::Facts& facts = state_->source->facts();
    if (!facts.n_frames) return std::nullopt;
    return static_cast<double>(*facts.n_frames) / facts.rate;
}

double SoundReader::position_s() const {
    return static_cast<double>(state_->n_samples) / kSoundRate;
}

double SoundReader::source_rate() const { return state_->source->facts().rate; }
size_t SoundReader::source_channels() const { return state_->source->facts().n_channels; }

}  // namespace gemlet::audio
