// Every slot of the batch works on one piece. In each round the slots that have just got a piece
// bring its whole prompt, the others the token they drew last, and all go through the model
// together. An answer that looks wrong is drawn again with a little chance; if that does not help
// the piece is cut in two at its best pause (a loop rarely survives a shorter piece), and of all
// attempts the best one counts. So a fault costs time, never the rest of the recording.
#include "frontends/transcribe/piece_decoder.h"

#include <algorithm>
#include <array>
#include <deque>

#include "frontends/transcribe/answer.h"

namespace gemlet {
namespace {

// Temperatures of the attempts before a piece is split, and after it could not be.
constexpr std::array<float, 2> kFirstAttempts = {0.0F, 0.4F};
constexpr std::array<float, 3> kAllAttempts = {0.0F, 0.4F, 0.8F};
constexpr size_t kMostSplits = 3;  // halves of halves of halves

struct Candidate {
    PieceText text;
    AnswerFault fault = AnswerFault::none;

    bool better_than(const Candidate& other) const {
        if (fault != other.fault) return fault < other.fault;
        return text.avg_logprob > other.text.avg_logprob;
    }
};

struct Work {
    Piece piece;
    size_t depth = 0;  // how often it was split
};

struct Slot {
    bool busy = false;
    PieceResult result;
    std::deque<Work> todo;  // parts of the piece, the first one running
    PiecePrompt prompt;
    std::optional<PieceAnswer> answer;
    std::optional<Candidate> best;
    size_t attempt = 0;
    bool starting = false;  // the prompt goes in next
    std::array<PromptRow, 1> next = {};
};

}  // namespace

struct PieceDecoder::Parts {
    const ChatModel& model;
    DecoderOptions options;
    PieceEncoder encoder;
    std::unique_ptr<Batch> batch;
    std::vector<Slot> slots;
    std::vector<Turn> turns;
    DecoderCounts counts;

    Status take_piece(Slot& slot, Piece piece, const DecodeRequest& request);
    Status start_part(Slot& slot, const DecodeRequest& request);
    void start_attempt(Slot& slot, const DecodeRequest& request);
    Status step(const std::atomic<bool>* cancel);
    Status draw(size_t index, const DecodeRequest& request);
    Status end_attempt(Slot& slot, const DecodeRequest& request);
    bool try_again(Slot& slot, AnswerFault fault, const DecodeRequest& request);
    bool split(Slot& slot);
};

size_t decoder_context(double max_seconds, const SpeechTask& task) {
    constexpr size_t kInstruction = 256;  // tokens of the prompt besides the sound, generously
    constexpr double kSoftTokensPerSecond = 25;
    return static_cast<size_t>(max_seconds * kSoftTokensPerSecond) + kInstruction +
           task.hints.size() + most_answer_tokens(max_seconds, !task.target.empty());
}

PieceDecoder::PieceDecoder(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PieceDecoder::~PieceDecoder() = default;

Result<std::unique_ptr<PieceDecoder>> PieceDecoder::create(const ChatModel& model,
                                                           const DecoderOptions& options,
                                                           std::string& fault_file) {
    Result<PieceEncoder> encoder = PieceEncoder::open(model, options.encoder, fault_file);
    GEMLET_TRY(encoder);
    fault_file.clear();
    Result<std::unique_ptr<Batch>> batch = Batch::create(*model.engine, options.parallel);
    GEMLET_TRY(batch);
    auto parts = std::make_unique<Parts>(
        Parts{model, options, std::move(*encoder), std::move(*batch), {}, {}, {}});
    parts->slots.resize(options.parallel);
    parts->turns.reserve(options.parallel);
    return std::unique_ptr<PieceDecoder>(new PieceDecoder(std::move(parts)));
}

const DecoderCounts& PieceDecoder::counts() const { return parts_->counts; }

Status PieceDecoder::Parts::take_piece(Slot& slot, Piece piece, const DecodeRequest& request) {
    ++counts.pieces;
    slot.busy = true;
    slot.result = {piece.index, piece.range, {}};
    slot.todo.clear();
    slot.todo.push_back({std::move(piece), 0});
    return start_part(slot, request);
}

/// Encodes the first part to do.
Status PieceDecoder::Parts::start_part(Slot& slot, const DecodeRequest& request) {
    Result<PiecePrompt> prompt = encoder.encode(slot.todo.front().piece.samples, request.task);
    GEMLET_TRY(prompt);
    slot.prompt = std::move(*prompt);
    const std::span<const PromptRow> rows = slot.prompt.rows;
    counts.prompt_tokens += rows.size();
    counts.audio_tokens += static_cast<size_t>(
        std::ranges::count_if(rows, [](const PromptRow& row) { return row.soft != nullptr; }));
    slot.best.reset();
    slot.attempt = 0;
    start_attempt(slot, request);
    return {};
}

void PieceDecoder::Parts::start_attempt(Slot& slot, const DecodeRequest& request) {
    const Piece& piece = slot.todo.front().piece;
    AnswerLimits limits;
    limits.temperature = std::max(request.temperature, kAllAttempts[slot.attempt]);
    limits.seed = options.seed + piece.range.begin;
    limits.start = slot.prompt.start;
    const size_t room = batch->context() - std::min(batch->context(), slot.prompt.rows.size());
    const double seconds = static_cast<double>(piece.range.size()) / kSpeechRateHz;
    limits.max_tokens = std::min(most_answer_tokens(seconds, !request.task.target.empty()), room);
    slot.answer.emplace(model.tokenizer, model.engine->config().vocab_size, limits);
    slot.starting = true;
}

/// One round of all busy slots.
Status PieceDecoder::Parts::step(const std::atomic<bool>* cancel) {
    turns.clear();
    // Short turns first.
    for (size_t i = 0; i < slots.size(); ++i) {
        Slot& slot = slots[i];
        if (!slot.busy || slot.starting) continue;
        slot.next[0] = {slot.answer->last(), nullptr};
        turns.push_back({i, slot.next, true});
    }
    for (size_t i = 0; i < slots.size(); ++i) {
        Slot& slot = slots[i];
        if (!slot.busy || !slot.starting) continue;
        const std::span<const PromptRow> rows = slot.prompt.rows;
        // A second attempt finds its prompt in the cache, if the windows still hold its end.
        const bool kept = slot.attempt > 0 && batch->truncate(i, rows.size() - 1).ok();
        if (!kept) GEMLET_TRY(batch->truncate(i, 0));
        turns.push_back({i, kept ? rows.last(1) : rows, true});
        slot.starting = false;
    }
    PrefillHooks hooks;
    hooks.cancel = cancel;
    return batch->append(turns, hooks);
}

Status PieceDecoder::Parts::draw(size_t index, const DecodeRequest& request) {
    Slot& slot = slots[index];
    ++counts.tokens;
    if (slot.answer->step(batch->logits(index))) return {};
    return end_attempt(slot, request);
}

/// Puts the halves of the first part in its place.
bool PieceDecoder::Parts::split(Slot& slot) {
    const size_t depth = slot.todo.front().depth;
    if (depth >= kMostSplits) return false;
    std::vector<Piece> halves = split_piece(slot.todo.front().piece);
    if (halves.empty()) return false;
    slot.todo.pop_front();
    for (size_t i = halves.size(); i-- > 0;) {
        slot.todo.push_front({std::move(halves[i]), depth + 1});
    }
    ++counts.splits;
    return true;
}

/// Begins another attempt at the same part, if one is left and promises something.
bool PieceDecoder::Parts::try_again(Slot& slot, AnswerFault fault, const DecodeRequest& request) {
    const bool can_split = slot.todo.front().depth < kMostSplits;
    // What stops early will stop early again: only less sound helps.
    if (fault == AnswerFault::none || (fault == AnswerFault::brief && can_split)) return false;
    const bool splits_soon = fault > AnswerFault::brief && can_split;
    const size_t most = splits_soon ? kFirstAttempts.size() : kAllAttempts.size();
    if (slot.attempt + 1 >= most) return false;
    ++slot.attempt;
    ++counts.retries;
    start_attempt(slot, request);
    return true;
}

Status PieceDecoder::Parts::end_attempt(Slot& slot, const DecodeRequest& request) {
    const Piece& piece = slot.todo.front().piece;
    Candidate candidate;
    candidate.text = slot.answer->finish(piece, request.task);
    candidate.fault = slot.answer->judge(candidate.text, piece.voiced_seconds());
    if (!slot.best || candidate.better_than(*slot.best)) slot.best = std::move(candidate);
    if (request.retry) {
        if (try_again(slot, slot.best->fault, request)) return {};
        if (slot.best->fault > AnswerFault::unsure && split(slot)) return start_part(slot, request);
    }
    slot.result.parts.push_back(std::move(slot.best->text));
    slot.todo.pop_front();
    if (!slot.todo.empty()) return start_part(slot, request);
    slot.busy = false;
    slot.answer.reset();
    return request.sink(std::move(slot.result));
}

Status PieceDecoder::run(const DecodeRequest& request) {
    const std::atomic<bool>* cancel = request.cancel;
    Parts& parts = *parts_;
    for (Slot& slot : parts.slots) slot.busy = false;
    bool more = true;
    while (true) {
        bool any = false;
        for (Slot& slot : parts.slots) {
            if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
                return {StatusCode::cancelled, "stopped"};
            }
            if (!slot.busy && more) {
                Result<std::optional<Piece>> piece = request.source();
                GEMLET_TRY(piece);
                more = piece->has_value();
                if (more) GEMLET_TRY(parts.take_piece(slot, std::move(**piece), request));
            }
            any = any || slot.busy;
        }
        if (!any) return {};
        GEMLET_TRY(parts.step(cancel));
        for (size_t i = 0; i < parts.slots.size(); ++i) {
            if (parts.slots[i].busy) GEMLET_TRY(parts.draw(i, request));
        }
    }
}

}  // namespace gemlet
