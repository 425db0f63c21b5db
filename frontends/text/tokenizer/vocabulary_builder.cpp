// Everything a vocabulary's reader must not trust is checked here, once; encoding and decoding then
// trust the tables. Two of the rules keep text from forging specials: a special or byte piece is
// never a character of its own and never part or product of a merge.
#include "frontends/text/tokenizer/vocabulary_builder.h"

#include <algorithm>
#include <array>

#include "frontends/text/tokenizer/utf8.h"

namespace gemlet {
namespace {

constexpr size_t kMaxPieceBytes = 65535;
constexpr size_t kWaitingParts = 256;
constexpr size_t kMaxTotalBytes = UINT32_MAX;
constexpr size_t kCharacterPages = 0x110000 / 256;

// Special in every Gemma 4 vocabulary, whatever types its file gives them. The first seven are tags
// that decoded text keeps for the reply's parser: type user_defined.
constexpr size_t kTags = 7;
constexpr std::array<std::string_view, 24> kSpecialTexts = {"<|tool_call>",
                                                            "<tool_call|>",
                                                            "<|tool_response>",
                                                            "<tool_response|>",
                                                            "<|channel>",
                                                            "<channel|>",
                                                            "<|\"|>",
                                                            "<pad>",
                                                            "<eos>",
                                                            "<bos>",
                                                            "<unk>",
                                                            "<mask>",
                                                            "<|tool>",
                                                            "<tool|>",
                                                            "<|think|>",
                                                            "<|turn>",
                                                            "<turn|>",
                                                            "<|image>",
                                                            "<image|>",
                                                            "<|audio>",
                                                            "<audio|>",
                                                            "<|image|>",
                                                            "<|audio|>",
                                                            "<|video|>"};
constexpr std::array<std::string_view, 3> kStopTexts = {"<eos>", "<turn|>", "<|tool_response>"};

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// The value of "<0xHH>", or -1.
int byte_value(std::string_view text) {
    if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') {
        return -1;
    }
    const int high = hex_digit(text[3]);
    const int low = hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_utf8(std::string_view text) {
    while (true) {
        size_t n_ascii = 0;
        while (n_ascii < text.size() && static_cast<uint8_t>(text[n_ascii]) < 0x80) {
            ++n_ascii;
        }
        text.remove_prefix(n_ascii);
        if (text.empty()) {
            return true;
        }
        const Utf8Step step = next_utf8(text);
        if (step.state != Utf8State::valid) {
            return false;
        }
        text.remove_prefix(step.length);
    }
}

Status add_ids(const std::vector<int64_t>& ids, size_t n_pieces, const char* what,
               std::vector<int32_t>& out) {
    for (const int64_t id : ids) {
        if (id < 0 || id >= static_cast<int64_t>(n_pieces)) {
            return {StatusCode::corrupt, "id is outside the vocabulary", what, id};
        }
        out.push_back(static_cast<int32_t>(id));
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return {};
}

}  // namespace

void VocabularyBuilder::reserve(size_t n_pieces, size_t n_bytes) {
    n_pieces = std::min(n_pieces, kMaxVocabularySize);
    made_.pieces_.reserve(n_pieces, n_bytes);
    made_.decoded_.reserve(n_pieces, n_bytes);
    made_.types_.reserve(n_pieces);
    made_.flags_.reserve(n_pieces);
}

Status VocabularyBuilder::add_piece(std::string_view text, PieceType type) {
    const auto id = static_cast<int64_t>(made_.size());
    if (made_.size() == kMaxVocabularySize || text.size() > kMaxPieceBytes ||
        made_.pieces_.n_bytes() + text.size() > kMaxTotalBytes) {
        return {StatusCode::unsupported, "vocabulary is too large", "vocabulary", id};
    }
    if (!is_utf8(text)) {
        return {StatusCode::corrupt, "piece is not UTF-8", "vocabulary", id};
    }
    const int byte = byte_value(text);
    if (type == PieceType::byte && byte < 0) {
        return {StatusCode::corrupt, "byte piece is not written <0xHH>", text, id};
    }
    if (byte >= 0) {
        const char value = static_cast<char>(byte);
        made_.decoded_.add({&value, 1});
        type = PieceType::byte;
    } else if (size_t mark = text.find(kBlankMark); mark == std::string_view::npos) {
        made_.decoded_.add(text);
    } else {
        joined_.clear();
        size_t begin = 0;
        for (; mark != std::string_view::npos; mark = text.find(kBlankMark, begin)) {
            joined_.insert(joined_.end(), text.begin() + static_cast<ptrdiff_t>(begin),
                           text.begin() + static_cast<ptrdiff_t>(mark));
            joined_.push_back(' ');
            begin = mark + kBlankMark.size();
        }
        joined_.insert(joined_.end(), text.begin() + static_cast<ptrdiff_t>(begin), text.end());
        made_.decoded_.add({joined_.data(), joined_.size()});
    }
    made_.longest_piece_bytes_ = std::max(made_.longest_piece_bytes_, text.size());
    made_.pieces_.add(text);
    made_.types_.push_back(text.empty() ? PieceType::unused : type);
    made_.flags_.push_back(
        type == PieceType::control || type == PieceType::unknown ? Vocabulary::kSpecial : 0);
    return {};
}

void VocabularyBuilder::mark_special(int32_t id) {
    uint8_t& flags = made_.flags_[static_cast<size_t>(id)];
    flags = static_cast<uint8_t>((flags | Vocabulary::kSpecial) & ~unsigned{Vocabulary::kLiteral});
}

void VocabularyBuilder::mark_literal(int32_t id) {
    if (!made_.is_special(id)) {
        made_.flags_[static_cast<size_t>(id)] |= Vocabulary::kLiteral;
    }
}

void VocabularyBuilder::add_character(int32_t id, uint32_t code_point) {
    uint16_t& page = made_.character_pages_[code_point >> 8U];
    if (page == 0) {
        page = static_cast<uint16_t>(made_.characters_.size() / 256);
        made_.characters_.resize(made_.characters_.size() + 256, kNoToken);
    }
    made_.characters_[size_t{page} * 256 + (code_point & 0xFFU)] = id;
}

Status VocabularyBuilder::index() {
    GEMLET_TRY(made_.map_.build(made_.pieces_));
    for (size_t i = 0; i < kSpecialTexts.size(); ++i) {
        if (const int32_t id = made_.id_of(kSpecialTexts[i]); id != kNoToken) {
            mark_special(id);
            made_.types_[static_cast<size_t>(id)] =
                i < kTags ? PieceType::user_defined : PieceType::control;
        }
    }
    mark_mergeable();
    made_.character_pages_.assign(kCharacterPages, 0);
    made_.characters_.assign(256, kNoToken);
    made_.byte_ids_.fill(kNoToken);
    for (int32_t id = 0; made_.contains(id); ++id) {
        const std::string_view text = made_.piece(id);
        if (made_.type(id) == PieceType::byte) {
            made_.byte_ids_[static_cast<uint8_t>(made_.bytes(id)[0])] = id;
        } else if (text.size() <= 4 && is_mergeable(id)) {
            const Utf8Step step = next_utf8(text);
            if (step.length == text.size()) {
                add_character(id, step.code_point);
            }
        }
    }
    // A vocabulary without U+2581 (a stand-in for a real one) keeps blanks as they are.
    if (const int32_t blank = made_.character_id(kBlankMarkCodePoint); blank != kNoToken) {
        add_character(blank, ' ');
    }
    const auto& bytes = made_.byte_ids_;
    const bool all_bytes = std::find(bytes.begin(), bytes.end(), kNoToken) == bytes.end();
    if (!all_bytes && made_.id_of("<unk>") == kNoToken) {
        return {StatusCode::unsupported, "neither all bytes nor <unk>", "vocabulary"};
    }
    return {};
}

void VocabularyBuilder::mark_mergeable() {
    for (size_t id = 0; id < made_.size(); ++id) {
        const PieceType type = made_.types_[id];
        const bool ordinary = type == PieceType::normal || type == PieceType::user_defined;
        if (ordinary && (made_.flags_[id] & Vocabulary::kSpecial) == 0) {
            made_.flags_[id] |= Vocabulary::kMergeable;
        }
    }
}

// Ranks mostly follow the ids of the products, so the next product is nearly always the last one or
// the one after it; only otherwise is the joined text built and looked up.
int32_t VocabularyBuilder::product_of(std::string_view left, std::string_view right) {
    for (int32_t id = likely_product_; id < likely_product_ + 2; ++id) {
        const std::string_view text = made_.piece(id);
        if (text.size() == left.size() + right.size() && text.starts_with(left) &&
            text.ends_with(right)) {
            return id;
        }
    }
    joined_.assign(left.begin(), left.end());
    joined_.insert(joined_.end(), right.begin(), right.end());
    return made_.id_of({joined_.data(), joined_.size()});
}

Status VocabularyBuilder::add_merge(std::string_view left, std::string_view right) {
    waiting_.push_back(left);
    waiting_.push_back(right);
    return waiting_.size() < kWaitingParts ? Status() : add_waiting_merges();
}

// Half a million merges look up a million texts and fill 8 MB of table in random order. Done one
// by one that is 0.2 s of waiting for memory; in blocks the waits overlap.
Status VocabularyBuilder::add_waiting_merges() {
    std::array<int32_t, kWaitingParts> ids;
    made_.map_.find_all(made_.pieces_, waiting_, std::span(ids).first(waiting_.size()));
    for (size_t i = 0; i < waiting_.size(); i += 2) {
        made_.merges_.prefetch(ids[i], ids[i + 1]);
    }
    for (size_t i = 0; i < waiting_.size(); i += 2) {
        const int32_t product = product_of(waiting_[i], waiting_[i + 1]);
        if (!is_mergeable(ids[i]) || !is_mergeable(ids[i + 1]) || !is_mergeable(product)) {
            return {StatusCode::corrupt, "merge of what is no ordinary piece", "merges",
                    static_cast<int64_t>(made_.merges_.size())};
        }
        likely_product_ = product;
        made_.merges_.join_edges(last_edge(waiting_[i]), first_edge(waiting_[i + 1]));
        GEMLET_TRY(made_.merges_.add(ids[i], ids[i + 1], product));
    }
    waiting_.clear();
    return {};
}

Result<Vocabulary> VocabularyBuilder::finish(const VocabularyRoles& roles) {
    GEMLET_TRY(add_waiting_merges());
    Status status;
    const auto role = [&](const std::optional<int64_t>& given, std::string_view usual) {
        if (!given) {
            return made_.id_of(usual);
        }
        if (*given < 0 || *given >= static_cast<int64_t>(made_.size())) {
            status = {StatusCode::corrupt, "id is outside the vocabulary", usual, *given};
            return kNoToken;
        }
        return static_cast<int32_t>(*given);
    };
    made_.roles_ = {.bos = role(roles.bos, "<bos>"),
                    .eos = role(roles.eos, "<eos>"),
                    .unknown = role(roles.unknown, "<unk>"),
                    .padding = role(roles.padding, "<pad>"),
                    .mask = role(roles.mask, "<mask>")};
    GEMLET_TRY(status);
    std::vector<int64_t> stops;
    if (roles.stop_ids) {
        stops = *roles.stop_ids;
    } else {
        for (const std::string_view text : kStopTexts) {
            stops.push_back(made_.id_of(text));
        }
        stops.push_back(made_.eos());
        std::erase(stops, kNoToken);
    }
    GEMLET_TRY(add_ids(stops, made_.size(), "stop ids", made_.stop_ids_));
    GEMLET_TRY(
        add_ids(roles.suppressed_ids, made_.size(), "suppress_tokens", made_.suppressed_ids_));
    for (const int32_t id : made_.stop_ids_) {
        made_.flags_[static_cast<size_t>(id)] |= Vocabulary::kStop;
    }
    return std::move(made_);
}

}  // namespace gemlet
