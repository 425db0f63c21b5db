// Lines are complete or they do not count: whatever a crash left behind the last line end is cut
// off before anything is appended. Values are read as from a stranger, since the file may have been
// edited; a line that makes no sense makes the whole journal foreign.
#include "frontends/transcribe/journal.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>

#include "core/files/mapped_file.h"
#include "core/json.h"
#include "frontends/media/content_hash.h"

namespace gemlet {
namespace {

constexpr const char* kMagic = "gemlet_transcribe_journal";
constexpr int64_t kVersion = 1;

Json integer(size_t value) { return Json::of_integer(static_cast<int64_t>(value)); }

Json range_json(const SampleRange& range) {
    Json json = Json::array();
    json.items = {integer(range.begin), integer(range.end)};
    return json;
}

Json part_json(const PieceText& part) {
    Json voiced = Json::array();
    for (const SampleRange& run : part.voiced) voiced.items.push_back(range_json(run));
    Json tokens = Json::array();
    for (const int32_t token : part.tokens) tokens.items.push_back(Json::of_integer(token));
    const auto number = [](float value) { return Json::of_number(static_cast<double>(value)); };
    Json json = Json::object();
    json.set("range", range_json(part.range))
        .set("speech", range_json(part.speech))
        .set("voiced", std::move(voiced))
        .set("forced_begin", Json::of_bool(part.forced_begin))
        .set("forced_end", Json::of_bool(part.forced_end))
        .set("text", Json::of(part.text))
        .set("translation", Json::of(part.translation))
        .set("tokens", std::move(tokens))
        .set("temperature", number(part.temperature))
        .set("avg_logprob", number(part.avg_logprob))
        .set("compression_ratio", number(part.compression_ratio))
        .set("no_speech_prob", number(part.no_speech_prob));
    return json;
}

/// Reads members of an object and remembers whether all were there.
class Members {
  public:
    explicit Members(const Json& object) : object_(object) {}

    bool ok() const { return ok_; }

    size_t size(const Json* value) {
        constexpr double kMost = 1e15;
        if (value == nullptr || !value->is_integer || value->number < 0 || value->number > kMost) {
            ok_ = false;
            return 0;
        }
        return static_cast<size_t>(value->number);
    }
    size_t size(const char* name) { return size(object_.find(name)); }

    SampleRange range(const Json* value) {
        if (value == nullptr || !value->is_array() || value->items.size() != 2) {
            ok_ = false;
            return {};
        }
        const SampleRange range = {size(value->items.data()), size(&value->items[1])};
        if (range.begin > range.end) ok_ = false;
        return range;
    }
    SampleRange range(const char* name) { return range(object_.find(name)); }

    const std::vector<Json>& list(const char* name) {
        static const std::vector<Json> empty;
        const Json* value = object_.find(name);
        if (value != nullptr && value->is_array()) return value->items;
        ok_ = false;
        return empty;
    }

    std::string text(const char* name) {
        const Json* value = object_.find(name);
        if (value != nullptr && value->is_string()) return value->text;
        ok_ = false;
        return {};
    }

    bool truth(const char* name) {
        const Json* value = object_.find(name);
        if (value != nullptr && value->is_bool()) return value->boolean;
        ok_ = false;
        return false;
    }

    float number(const char* name) {
        const Json* value = object_.find(name);
        if (value != nullptr && value->is_number() && std::abs(value->number) < 1e9) {
            return static_cast<float>(value->number);
        }
        ok_ = false;
        return 0;
    }

  private:
    const Json& object_;
    bool ok_ = true;
};

bool read_part(const Json& json, PieceText& part) {
    Members members(json);
    part.range = members.range("range");
    part.speech = members.range("speech");
    for (const Json& run : members.list("voiced")) part.voiced.push_back(members.range(&run));
    part.forced_begin = members.truth("forced_begin");
    part.forced_end = members.truth("forced_end");
    part.text = members.text("text");
    part.translation = members.text("translation");
    for (const Json& token : members.list("tokens")) {
        part.tokens.push_back(static_cast<int32_t>(members.size(&token) & 0x7FFFFFFFU));
    }
    part.temperature = members.number("temperature");
    part.avg_logprob = members.number("avg_logprob");
    part.compression_ratio = members.number("compression_ratio");
    part.no_speech_prob = members.number("no_speech_prob");
    return members.ok();
}

bool read_result(std::string_view line, PieceResult& result) {
    const Result<Json> json = parse_json(line);
    if (!json) return false;
    Members members(*json);
    result.index = members.size("piece");
    result.range = members.range("range");
    for (const Json& item : members.list("parts")) {
        PieceText part;
        if (!read_part(item, part)) return false;
        result.parts.push_back(std::move(part));
    }
    return members.ok();
}

std::string header_line(const JournalKey& key) {
    Json json = Json::object();
    json.set(kMagic, Json::of_integer(kVersion))
        .set("source_bytes", integer(key.source_bytes))
        .set("source_hash", Json::of(key.source_hash))
        .set("settings", Json::of(key.settings));
    return write_json(json);
}

}  // namespace

Result<JournalKey> journal_key(const std::string& source, std::string settings) {
    const Result<MappedFile> file = MappedFile::open(source);
    GEMLET_TRY(file);
    advise(file->bytes(), Access::sequential);
    const ContentHash hash = hash_content(file->bytes());
    std::array<char, 40> text = {};
    std::snprintf(text.data(), text.size(), "%016llx%016llx",
                  static_cast<unsigned long long>(hash.first),
                  static_cast<unsigned long long>(hash.second));
    return JournalKey{file->bytes().size(), text.data(), std::move(settings)};
}

/// Reads an earlier run's file and cuts off what follows its last whole line.
Status Journal::load(const JournalKey& key) {
    const Result<MappedFile> file = MappedFile::open(path_);
    GEMLET_TRY(file);
    const auto bytes = file->bytes();
    const std::string text(bytes.begin(), bytes.end());
    const size_t whole = text.rfind('\n') + 1;  // npos + 1 is 0: no line at all
    size_t at = text.find('\n');
    // Nothing but the beginning of a header: the run ended at once.
    if (whole == 0 && header_line(key).starts_with(text)) return start(key);
    if (whole == 0 || text.substr(0, at) != header_line(key)) {
        return {StatusCode::bad_argument,
                "is the journal of another recording or of other options; delete it to start anew",
                path_};
    }
    for (++at; at < whole;) {
        const size_t end = text.find('\n', at);
        PieceResult result;
        if (!read_result(std::string_view(text).substr(at, end - at), result)) {
            return {StatusCode::bad_argument, "is a damaged journal; delete it to start anew",
                    path_, static_cast<int64_t>(at)};
        }
        known_[result.index] = std::move(result);
        at = end + 1;
    }
    if (truncate(path_.c_str(), static_cast<off_t>(whole)) != 0) {
        return {StatusCode::io, "cannot be written", path_, errno};
    }
    file_.reset(std::fopen(path_.c_str(), "abe"));
    if (file_ == nullptr) return {StatusCode::io, "cannot be written", path_, errno};
    return {};
}

Status Journal::start(const JournalKey& key) {
    file_.reset(std::fopen(path_.c_str(), "wbe"));
    if (file_ == nullptr) return {StatusCode::io, "cannot be created", path_, errno};
    const std::string line = header_line(key) + "\n";
    std::fputs(line.c_str(), file_.get());
    if (std::fflush(file_.get()) != 0) return {StatusCode::io, "cannot be written", path_, errno};
    return {};
}

Result<std::unique_ptr<Journal>> Journal::open(const std::string& path, const JournalKey& key,
                                               bool resume) {
    auto journal = std::make_unique<Journal>();
    journal->path_ = path;
    const bool there = access(path.c_str(), F_OK) == 0;
    GEMLET_TRY(resume && there ? journal->load(key) : journal->start(key));
    return journal;
}

const PieceResult* Journal::find(const Piece& piece) const {
    const auto found = known_.find(piece.index);
    return found != known_.end() && found->second.range == piece.range ? &found->second : nullptr;
}

Status Journal::add(const PieceResult& result) {
    Json parts = Json::array();
    for (const PieceText& part : result.parts) parts.items.push_back(part_json(part));
    Json json = Json::object();
    json.set("piece", integer(result.index))
        .set("range", range_json(result.range))
        .set("parts", std::move(parts));
    const std::string line = write_json(json) + "\n";
    if (std::fwrite(line.data(), 1, line.size(), file_.get()) != line.size() ||
        std::fflush(file_.get()) != 0) {
        return {StatusCode::io, "cannot be written", path_, errno};
    }
    return {};
}

void Journal::remove() {
    file_.reset();
    unlink(path_.c_str());
}

}  // namespace gemlet
