// A schema becomes an expression; what is used from several places, or refers to itself, becomes a
// rule with a name. Members of an object in any order are a rule with a parameter: a bit for each
// member that has been written, the required ones lowest. Numbers with limits are left to the
// engine's own knowledge of JSON schemas, since numbers are written alike.
#include "frontends/text/grammar/schema_rules.h"

#include <algorithm>
#include <array>
#include <utility>

#include "frontends/text/chat/specials.h"

namespace gemlet {
namespace {

constexpr size_t kMostRules = 20000;
constexpr size_t kMostDepth = 64;
constexpr size_t kMostMembers = 60;       // of one object: bits of a parameter
constexpr int64_t kMostRepeats = 100000;  // limits above are as good as none

/// What the call syntax itself needs: free values, and names of members. Digits are as many as a
/// double has, so that no number goes on for ever.
constexpr std::string_view kCommonRules = R"(
TEXT: /(?s:.)+/
BARE: /[A-Za-z_][A-Za-z0-9_.-]*/
INTEGER: /-?(0|[1-9][0-9]{0,17})/
NUMBER: /-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,3})?/
free_text: QUOTE TEXT? QUOTE
free_key: BARE | QUOTE TEXT QUOTE
free_array: "[" (free (","  free)*)? "]"
free_object: "{" (free_key ":" free ("," free_key ":" free)*)? "}"
free: free_text | NUMBER | "true" | "false" | "null" | free_array | free_object
)";

constexpr std::array kIgnored = {"title",      "description", "default",  "examples", "$schema",
                                 "$id",        "$comment",    "$defs",    "nullable", "definitions",
                                 "deprecated", "readOnly",    "writeOnly"};
constexpr std::array kKept = {"type",
                              "properties",
                              "required",
                              "additionalProperties",
                              "enum",
                              "const",
                              "items",
                              "prefixItems",
                              "minItems",
                              "maxItems",
                              "minLength",
                              "maxLength",
                              "pattern",
                              "format",
                              "minimum",
                              "maximum",
                              "anyOf",
                              "oneOf",
                              "allOf",
                              "$ref",
                              "exclusiveMinimum",
                              "exclusiveMaximum",
                              "multipleOf"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFormats = {{
    {"date", "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"},
    {"time", R"(([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-][01][0-9]:[0-5][0-9])?)"},
    {"date-time",
     R"([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
     R"((\.[0-9]+)?(Z|[+-][01][0-9]:[0-5][0-9]))"},
    {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
    {"email", R"([A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)"},
}};

std::string quote() { return "<[" + std::to_string(chat::kQuoteId) + "]>"; }

bool is_bare_key(std::string_view key) {
    const auto is_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.';
    };
    return !key.empty() && std::all_of(key.begin(), key.end(), is_word);
}

std::string quoted(std::string_view text) {
    if (text.empty()) return quote() + " " + quote();
    return quote() + " " + grammar_literal(text) + " " + quote();
}

std::string key_of(std::string_view key) {
    return is_bare_key(key) ? grammar_literal(key) : quoted(key);
}

std::string one_of(const std::vector<std::string>& choices) {
    std::string out;
    for (const std::string& choice : choices) out += (out.empty() ? "" : " | ") + choice;
    return choices.size() == 1 ? out : "(" + out + ")";
}

/// A member that is a whole number, or a limit that is none.
int64_t limit_of(const Json& schema, std::string_view name, int64_t absent) {
    const Json* value = schema.find(name);
    if (value == nullptr || !value->is_number() || !(value->number >= 0)) return absent;
    return static_cast<int64_t>(std::min(value->number, static_cast<double>(kMostRepeats)));
}

/// "{low,high}" of a repetition.
std::string range_of(int64_t low, int64_t high) {
    const std::string most = high >= kMostRepeats ? "" : std::to_string(high);
    return "{" + std::to_string(low) + "," + most + "}";
}

/// An unanchored pattern as a regular expression of the whole text, or nothing where it cannot be
/// one.
std::string whole_pattern(std::string_view pattern) {
    const bool from_start = pattern.starts_with('^');
    if (from_start) pattern.remove_prefix(1);
    size_t n_escapes = 0;
    while (n_escapes + 1 < pattern.size() && pattern[pattern.size() - 2 - n_escapes] == '\\') {
        ++n_escapes;
    }
    const bool to_end = pattern.ends_with('$') && n_escapes % 2 == 0;
    if (to_end) pattern.remove_suffix(1);
    std::string inner;
    size_t depth = 0;
    bool in_class = false;
    for (size_t i = 0; i < pattern.size(); ++i) {
        const char c = pattern[i];
        if (static_cast<unsigned char>(c) < 0x20) return {};
        if (c == '\\' && i + 1 < pattern.size()) {
            if (static_cast<unsigned char>(pattern[i + 1]) < 0x20) return {};
            inner += c;
            inner += pattern[++i];
            continue;
        }
        const bool was_in_class = in_class;
        if (c == '[') in_class = true;
        if (c == ']') in_class = false;
        if (!was_in_class) {
            if (c == '(') ++depth;
            if (c == ')') --depth;
            const bool divides = c == '|' && depth == 0 && (from_start || to_end);
            if (divides || c == '^' || c == '$') return {};  // anchored in part only
        }
        if (c == '/') inner += '\\';
        inner += c;
    }
    return (from_start ? "" : "(?s:.)*") + ("(" + inner + ")") + (to_end ? "" : "(?s:.)*");
}

/// Takes over what `from` says, properties and requirements added to those that are there.
void merge_into(Json& schema, const Json& from) {
    for (const auto& [name, value] : from.members) {
        const Json* old = schema.find(name);
        Json merged = old == nullptr ? value : *old;
        if (old != nullptr && name == "properties" && value.is_object()) {
            for (const auto& [key, property] : value.members) merged.set(key, property);
        } else if (old != nullptr && name == "required" && value.is_array()) {
            for (const Json& key : value.items) merged.items.push_back(key);
        } else if (old != nullptr) {
            merged = value;
        }
        schema.set(name, std::move(merged));
    }
}

Json without(const Json& schema, std::string_view name) {
    Json out = schema;
    std::erase_if(out.members, [&](const Json::Member& member) { return member.first == name; });
    return out;
}

std::string type_guess(const Json& schema) {
    const auto has = [&](const char* name) { return schema.find(name) != nullptr; };
    if (has("properties") || has("required") || has("additionalProperties")) return "object";
    if (has("items") || has("prefixItems") || has("minItems") || has("maxItems")) return "array";
    if (has("minLength") || has("maxLength") || has("pattern") || has("format")) return "string";
    if (has("minimum") || has("maximum") || has("multipleOf")) return "number";
    return {};
}

}  // namespace

std::string grammar_literal(std::string_view text) {
    std::string json = write_json(Json::of(text), true);
    for (size_t at = 0; (at = json.find('\x7F', at)) != std::string::npos;) {
        json.replace(at, 1, "\\u007f");
    }
    return json;
}

void SchemaRules::begin(const Json& root, bool strict) {
    root_ = &root;
    strict_ = strict;
    references_.clear();
}

std::string SchemaRules::text() const {
    std::string common(kCommonRules);
    for (size_t at = 0; (at = common.find("QUOTE", at)) != std::string::npos;) {
        common.replace(at, 5, quote());
    }
    return rules_ + common;
}

std::string SchemaRules::refuse(const std::string& what) {
    if (strict_ && fault_.empty()) fault_ = what;
    return "free";
}

std::string SchemaRules::add_rule(std::string_view prefix, const std::string& body) {
    if (++n_rules_ > kMostRules && fault_.empty()) fault_ = "the schema is too large";
    std::string name = std::string(prefix) + std::to_string(n_rules_);
    if (fault_.empty()) rules_ += name + ": " + body + "\n";
    return name;
}

void SchemaRules::check_keywords(const Json& schema) {
    for (const auto& [name, value] : schema.members) {
        const auto is_name = [&key = name](const char* known) { return key == known; };
        if (std::none_of(kIgnored.begin(), kIgnored.end(), is_name) &&
            std::none_of(kKept.begin(), kKept.end(), is_name)) {
            (void)refuse("the keyword " + name + " is not supported");
        }
    }
}

std::string SchemaRules::literal(const Json& value) {
    if (value.is_string()) return quoted(value.text);
    if (!value.is_array() && !value.is_object()) return grammar_literal(write_json(value));
    std::string out = value.is_array() ? "\"[\"" : "\"{\"";
    bool first = true;
    const auto comma = [&] { out += std::exchange(first, false) ? " " : " \",\" "; };
    for (const Json& item : value.items) {
        comma();
        out += literal(item);
    }
    for (const auto& [key, member] : value.members) {
        comma();
        out += key_of(key) + " \":\" " + literal(member);
    }
    return "(" + out + (value.is_array() ? " \"]\")" : " \"}\")");
}

std::string SchemaRules::value(const Json& schema) {
    if (schema.is_bool() && schema.boolean) return "free";
    if (!schema.is_object()) return refuse("a schema must be an object");
    if (depth_ >= kMostDepth || !fault_.empty()) return refuse("a schema is nested too deeply");
    ++depth_;
    check_keywords(schema);
    const Json* nullable = schema.find("nullable");
    std::string out;
    if (const Json* target = schema.find("$ref")) {
        out = reference(schema, target->text);
    } else if (const Json* parts = schema.find("allOf"); parts != nullptr && parts->is_array()) {
        Json merged = without(schema, "allOf");
        for (const Json& part : parts->items) merge_into(merged, part);
        out = value(merged);
    } else if (const Json* any = schema.find("anyOf"); any != nullptr && any->is_array()) {
        out = any_of(without(schema, "anyOf"), *any);
    } else if (const Json* one = schema.find("oneOf"); one != nullptr && one->is_array()) {
        out = any_of(without(schema, "oneOf"), *one);
    } else if (const Json* constant = schema.find("const")) {
        out = literal(*constant);
    } else if (const Json* values = schema.find("enum"); values != nullptr && values->is_array()) {
        std::vector<std::string> choices;
        for (const Json& item : values->items) choices.push_back(literal(item));
        out = choices.empty() ? refuse("an enum is empty") : one_of(choices);
    } else if (const Json* type = schema.find("type"); type != nullptr && type->is_array()) {
        std::vector<std::string> choices;
        for (const Json& item : type->items) choices.push_back(typed(schema, item.text));
        out = choices.empty() ? refuse("a type is empty") : one_of(choices);
    } else {
        out = typed(schema, type == nullptr ? type_guess(schema) : type->text);
    }
    if (nullable != nullptr && nullable->is_bool() && nullable->boolean) {
        out = "(" + out + " | \"null\")";
    }
    --depth_;
    return out;
}

std::string SchemaRules::any_of(const Json& schema, const Json& branches) {
    std::vector<std::string> choices;
    for (const Json& branch : branches.items) {
        Json merged = schema;
        merge_into(merged, branch);
        choices.push_back(value(merged));
    }
    return choices.empty() ? refuse("anyOf is empty") : one_of(choices);
}

std::string SchemaRules::reference(const Json& schema, const std::string& target) {
    if (schema.members.size() > 1) {
        // Only words for people may stand beside a reference.
        for (const auto& [name, more] : schema.members) {
            const auto is_name = [&key = name](const char* known) { return key == known; };
            if (name != "$ref" && std::none_of(kIgnored.begin(), kIgnored.end(), is_name)) {
                return refuse("$ref with " + name + " beside it is not supported");
            }
        }
    }
    if (const auto known = references_.find(target); known != references_.end()) {
        return known->second;
    }
    if (!target.starts_with("#")) return refuse("$ref must be local");
    const Json* found = root_;
    for (size_t at = 1; found != nullptr && at < target.size();) {
        const size_t end = std::min(target.find('/', at + 1), target.size());
        found = found->find(std::string_view(target).substr(at + 1, end - at - 1));
        at = end;
    }
    if (found == nullptr) return refuse("$ref points to nothing");
    // Named before it is written, so that it may refer to itself.
    std::string name = "ref" + std::to_string(++n_rules_);
    references_[target] = name;
    const std::string body = value(*found);
    if (body == name) return refuse("$ref points to itself");
    rules_ += name + ": " + body + "\n";
    return name;
}

std::string SchemaRules::typed(const Json& schema, std::string_view type) {
    if (type.empty()) return "free";
    if (type == "string") return string_value(schema);
    if (type == "integer" || type == "number") return number_value(schema, type);
    if (type == "boolean") return "(\"true\" | \"false\")";
    if (type == "null") return "\"null\"";
    if (type == "array") return array_value(schema);
    if (type == "object") return object_value(schema);
    return refuse("the type " + std::string(type) + " is not known");
}

std::string SchemaRules::string_value(const Json& schema) {
    const auto of_pattern = [&](const std::string& pattern) {
        return quote() + " " + add_rule("T", "/" + pattern + "/") + " " + quote();
    };
    const Json* pattern = schema.find("pattern");
    if (pattern != nullptr && pattern->is_string()) {
        const std::string whole = whole_pattern(pattern->text);
        if (whole.empty()) return refuse("the pattern " + pattern->text + " is not supported");
        return of_pattern(whole);
    }
    if (const Json* format = schema.find("format")) {
        const auto* const known =
            std::find_if(kFormats.begin(), kFormats.end(),
                         [&](const auto& entry) { return entry.first == format->text; });
        if (known != kFormats.end()) return of_pattern(std::string(known->second));
        (void)refuse("the format " + format->text + " is not supported");
    }
    const int64_t least = limit_of(schema, "minLength", 0);
    const int64_t most = limit_of(schema, "maxLength", kMostRepeats);
    if (least > most) return refuse("minLength is above maxLength");
    if (most == 0) return quote() + " " + quote();
    if (least == 0 && most >= kMostRepeats) return "free_text";
    const std::string text = of_pattern("(?s:.)" + range_of(std::max<int64_t>(least, 1), most));
    return least > 0 ? text : "(" + text + " | " + quote() + " " + quote() + ")";
}

std::string SchemaRules::number_value(const Json& schema, std::string_view type) {
    Json limits = Json::object();
    for (const char* name :
         {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}) {
        const Json* limit = schema.find(name);
        if (limit != nullptr && limit->is_number()) limits.set(name, *limit);
    }
    if (limits.members.empty()) return type == "integer" ? "INTEGER" : "NUMBER";
    Json style = Json::object();
    style.set("whitespace_flexible", Json::of_bool(false));
    limits.set("type", Json::of(type)).set("x-guidance", std::move(style));
    return add_rule("number", "%json " + write_json(limits));
}

std::string SchemaRules::array_value(const Json& schema) {
    const int64_t least = limit_of(schema, "minItems", 0);
    const int64_t most = limit_of(schema, "maxItems", kMostRepeats);
    if (least > most) return refuse("minItems is above maxItems");
    std::string first;
    int64_t n_first = 0;
    if (const Json* prefix = schema.find("prefixItems"); prefix != nullptr && prefix->is_array()) {
        for (const Json& item : prefix->items) {
            first += (n_first++ == 0 ? "" : " \",\" ") + value(item);
        }
    }
    if (n_first > most) return refuse("prefixItems are more than maxItems");
    const Json* items = schema.find("items");
    const bool closed = items != nullptr && items->is_bool() && !items->boolean;
    if (most == n_first || closed) return "(\"[\" " + first + " \"]\")";
    const std::string item = add_rule("item", items == nullptr ? "free" : value(*items));
    const std::string rest = "(\",\" " + item + ")";
    if (n_first > 0) {
        return "(\"[\" " + first + " " + rest +
               range_of(std::max<int64_t>(least - n_first, 0), most - n_first) + " \"]\")";
    }
    const std::string some =
        item + " " + rest +
        range_of(std::max<int64_t>(least - 1, 0), most >= kMostRepeats ? most : most - 1);
    return "(\"[\" " + (least > 0 ? some : "(" + some + ")?") + " \"]\")";
}

std::string SchemaRules::more_members(const Json& schema, const Json* properties) {
    const Json* more = schema.find("additionalProperties");
    // Unless a schema says that there is more, a model that writes other names has misread it.
    const bool is_open =
        more != nullptr ? !more->is_bool() || more->boolean : !strict_ && properties == nullptr;
    if (!is_open) return {};
    const std::string item = more != nullptr && more->is_object() ? value(*more) : "free";
    std::string known;
    if (properties != nullptr) {
        for (const auto& [key, property] : properties->members) {
            if (key.empty()) continue;
            known += (known.empty() ? "" : " | ") + grammar_literal(key);
        }
    }
    if (known.empty()) return "free_key \":\" " + item;
    const std::string bare = add_rule("T", "BARE & ~(" + known + ")");
    const std::string text = add_rule("T", "TEXT & ~(" + known + ")");
    return "(" + bare + " | " + quote() + " " + text + " " + quote() + ") \":\" " + item;
}

std::string SchemaRules::object_value(const Json& schema) {
    const Json* properties = schema.find("properties");
    if (properties != nullptr && !properties->is_object()) {
        return refuse("properties must be an object");
    }
    std::vector<std::string> required;
    if (const Json* names = schema.find("required"); names != nullptr) {
        for (const Json& name : names->items) required.push_back(name.text);
    }
    std::vector<Entry> entries;
    if (properties != nullptr) {
        for (const auto& [key, property] : properties->members) {
            const bool needed = std::find(required.begin(), required.end(), key) != required.end();
            entries.push_back({key_of(key), value(property), needed});
        }
    }
    for (const std::string& name : required) {
        if (properties == nullptr || properties->find(name) == nullptr) {
            (void)refuse("required names no property: " + name);
        }
    }
    if (entries.size() > kMostMembers) return refuse("an object has too many properties");
    return object_rules(entries, more_members(schema, properties));
}

std::string SchemaRules::object_rules(const std::vector<Entry>& entries, const std::string& more) {
    if (entries.empty() && more.empty()) return "(\"{\" \"}\")";
    if (entries.empty()) return "(\"{\" (" + more + " (\",\" " + more + ")*)? \"}\")";
    std::vector<Entry> sorted = entries;
    std::stable_partition(sorted.begin(), sorted.end(), [](const Entry& e) { return e.required; });
    const auto n_required = static_cast<size_t>(
        std::count_if(sorted.begin(), sorted.end(), [](const Entry& e) { return e.required; }));
    const std::string id = std::to_string(++n_rules_);
    const std::string next = "next" + id;
    std::string members;  // one more member, whatever was written before
    for (size_t i = 0; i < sorted.size(); ++i) {
        const std::string bit = "(" + std::to_string(i) + ")";
        members.append(i == 0 ? "" : " | ").append(sorted[i].key).append(" \":\" ");
        members.append(sorted[i].value).append(" ").append(next);
        members.append("::set_bit").append(bit).append(" %if bit_clear").append(bit).append("\n");
    }
    if (!more.empty()) members += " | " + more + " " + next + "::_\n";
    const std::string complete =
        n_required == 0 ? "" : " %if is_ones([0:" + std::to_string(n_required) + "])";
    const std::string has_more =
        more.empty() ? " %if not(is_ones([0:" + std::to_string(sorted.size()) + "]))" : "";
    if (!fault_.empty()) return "free";
    rules_ += "member" + id + "::_: " + members;
    rules_ += next + "::_: \"}\"" + complete + "\n | \",\" member" + id + "::_" + has_more + "\n";
    rules_ += "object" + id + ": \"{\" member" + id + "::0x0" +
              (n_required == 0 ? " | \"{\" \"}\"" : "") + "\n";
    return "object" + id;
}

std::string SchemaRules::arguments(const Json& schema) {
    const Json* type = schema.find("type");
    const bool is_plain = schema.find("$ref") == nullptr && schema.find("allOf") == nullptr &&
                          schema.find("anyOf") == nullptr && schema.find("oneOf") == nullptr;
    if (type != nullptr && (!type->is_string() || type->text != "object")) {
        (void)refuse("parameters must be an object");
        return "free_object";
    }
    if (!is_plain) {
        const std::string out = value(schema);
        return out == "free" ? "free_object" : out;
    }
    check_keywords(schema);
    const std::string out = object_value(schema);
    return out == "free" ? "free_object" : out;
}

}  // namespace gemlet
