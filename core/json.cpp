// JSON values and the parser that builds them. The parser is a sink for core/json_events.h with a
// stack of open containers. Member names are compared once, when an object closes: by sorting, so
// that an object of a hundred thousand members costs no quadratic time.
#include "core/json.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>

#include "core/json_events.h"

namespace gemlet {
namespace {

// Below this many members comparing all pairs is faster than sorting.
constexpr size_t kFewMembers = 8;

class TreeBuilder {
  public:
    explicit TreeBuilder(DuplicateKeys duplicates) : duplicates_(duplicates) {}

    Status take(JsonEvent& event);
    Json root() && { return std::move(root_); }

  private:
    // An open container is kept by value until it closes; its parent does not move it before.
    struct Open {
        Json value;
        std::string key;  // of the member that is being read
    };

    void place(Json&& value);
    Status close(size_t offset);
    Status settle_members(std::vector<Json::Member>& members, size_t offset) const;

    DuplicateKeys duplicates_;
    std::vector<Open> open_;
    Json root_;
};

void TreeBuilder::place(Json&& value) {
    if (open_.empty()) {
        root_ = std::move(value);
    } else if (Open& top = open_.back(); top.value.is_array()) {
        top.value.items.push_back(std::move(value));
    } else {
        top.value.members.emplace_back(std::move(top.key), std::move(value));
    }
}

// Rejects or removes members that are named more than once. What remains stands at the place of
// the first and has the value of the last.
Status TreeBuilder::settle_members(std::vector<Json::Member>& members, size_t offset) const {
    std::vector<size_t> order(members.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return members[a].first < members[b].first; });
    std::vector<bool> repeated;
    for (size_t i = 0; i + 1 < order.size();) {
        const size_t first = order[i];
        for (++i; i < order.size() && members[order[i]].first == members[first].first; ++i) {
            if (duplicates_ == DuplicateKeys::reject) {
                return {StatusCode::corrupt, "JSON object names a member twice",
                        members[first].first, static_cast<int64_t>(offset)};
            }
            repeated.resize(members.size(), false);
            members[first].second = std::move(members[order[i]].second);
            repeated[order[i]] = true;
        }
    }
    if (repeated.empty()) return {};
    std::vector<Json::Member> kept;
    for (size_t i = 0; i < members.size(); ++i) {
        if (!repeated[i]) kept.push_back(std::move(members[i]));
    }
    members = std::move(kept);
    return {};
}

bool has_repeats_among_few(const std::vector<Json::Member>& members) {
    for (size_t i = 1; i < members.size(); ++i) {
        for (size_t j = 0; j < i; ++j) {
            if (members[i].first == members[j].first) return true;
        }
    }
    return false;
}

Status TreeBuilder::close(size_t offset) {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    if (value.is_object() &&
        (value.members.size() > kFewMembers || has_repeats_among_few(value.members))) {
        GEMLET_TRY(settle_members(value.members, offset));
    }
    place(std::move(value));
    return {};
}

Status TreeBuilder::take(JsonEvent& event) {
    Json value;
    switch (event.kind) {
        case JsonEvent::Kind::null:
            break;
        case JsonEvent::Kind::boolean:
            value = Json::of_bool(event.boolean);
            break;
        case JsonEvent::Kind::number:
            value.kind = Json::Kind::number;
            value.number = event.number;
            value.is_integer = event.is_integer;
            value.text = std::move(event.text);
            break;
        case JsonEvent::Kind::string:
            value.kind = Json::Kind::string;
            value.text = std::move(event.text);
            break;
        case JsonEvent::Kind::key:
            open_.back().key = std::move(event.text);
            return {};
        case JsonEvent::Kind::begin_array:
            open_.push_back({Json::array(), {}});
            return {};
        case JsonEvent::Kind::begin_object:
            open_.push_back({Json::object(), {}});
            return {};
        case JsonEvent::Kind::end_array:
        case JsonEvent::Kind::end_object:
            return close(event.offset);
    }
    place(std::move(value));
    return {};
}

}  // namespace

Json::Json() = default;
Json::~Json() = default;
Json::Json(const Json& other) = default;
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) = default;
Json& Json::operator=(Json&& other) noexcept = default;

const Json* Json::find(std::string_view key) const {
    const auto at = std::find_if(members.begin(), members.end(),
                                 [&](const Member& member) { return member.first == key; });
    return at == members.end() ? nullptr : &at->second;
}

Json Json::of(std::string_view text) {
    Json value;
    value.kind = Kind::string;
    value.text = text;
    return value;
}

Json Json::of_bool(bool value) {
    Json result;
    result.kind = Kind::boolean;
    result.boolean = value;
    return result;
}

Json Json::of_integer(int64_t value) {
    Json result;
    result.kind = Kind::number;
    result.is_integer = true;
    result.number = static_cast<double>(value);
    result.text = std::to_string(value);
    return result;
}

Json Json::of_number(double value) {
    Json result;
    if (!std::isfinite(value)) return result;  // JSON has no word for it
    std::array<char, 32> buffer{};             // the longest shortest spelling has 24 characters
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    result.kind = Kind::number;
    result.number = value;
    result.text.assign(buffer.data(), end);
    result.is_integer = result.text.find_first_of(".e") == std::string::npos;
    return result;
}

Json Json::array() {
    Json value;
    value.kind = Kind::array;
    return value;
}

Json Json::object() {
    Json value;
    value.kind = Kind::object;
    return value;
}

Json& Json::set(std::string_view key, Json value) {
    const auto at = std::find_if(members.begin(), members.end(),
                                 [&](const Member& member) { return member.first == key; });
    if (at == members.end()) {
        members.emplace_back(std::string(key), std::move(value));
    } else {
        at->second = std::move(value);
    }
    return *this;
}

Result<Json> parse_json(std::string_view text, DuplicateKeys duplicates) {
    TreeBuilder builder(duplicates);
    GEMLET_TRY(read_json(text, [&](JsonEvent& event) { return builder.take(event); }));
    return std::move(builder).root();
}

}  // namespace gemlet
