// Declarations follow the models' template branch by branch, including what looks like mistakes
// there (a missing closing brace, schema keywords taken for properties): the models were trained on
// them. A null pointer is the template's "undefined".
#include "frontends/text/chat/declarations.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "frontends/text/chat/python_text.h"
#include "frontends/text/chat/values.h"

namespace gemlet::chat {
namespace {

constexpr std::array<std::string_view, 5> kStandardKeys = {"description", "type", "properties",
                                                           "required", "nullable"};

enum class KeyFilter : uint8_t { all, no_standard_keys };

Status write_properties(PromptWriter& out, const Json& properties, KeyFilter filter);

// Puts commas between entries, whichever of them are present.
class CommaList {
  public:
    explicit CommaList(PromptWriter& out) : out_(out) {}
    PromptWriter& next() {
        if (!first_) out_.plain(",");
        first_ = false;
        return out_;
    }

  private:
    PromptWriter& out_;
    bool first_ = true;
};

std::string text_of(const Json* value) { return value == nullptr ? "" : python_str(*value); }

std::string type_of(const Json& schema) { return python_upper(text_of(schema.find("type"))); }

Status write_name_list(PromptWriter& out, const Json& names) {
    const auto texts = element_texts(names);
    GEMLET_TRY(texts);
    out.plain("[");
    CommaList list(out);
    for (const std::string& name : *texts) list.next().quoted(name);
    out.plain("]");
    return {};
}

Status write_items_type(PromptWriter& out, const Json& type) {
    out.plain("type:");
    if (type.is_string()) {
        out.quoted(python_upper(type.text));
        return {};
    }
    auto texts = element_texts(type);
    GEMLET_TRY(texts);
    Json list = Json::array();
    for (const std::string& text : *texts) list.items.push_back(Json::of(python_upper(text)));
    write_value(out, &list, KeyStyle::quoted);
    return {};
}

Status write_items(PromptWriter& out, const Json& items) {
    out.plain("items:{");
    CommaList list(out);
    for (const Json::Member* member : sorted_members(items)) {
        const auto& [key, value] = *member;
        if (value.is_null()) continue;
        list.next();
        if (key == "properties") {
            out.plain("properties:{");
            if (value.is_object()) GEMLET_TRY(write_properties(out, value, KeyFilter::all));
            out.plain("}");
        } else if (key == "required") {
            out.plain("required:");
            GEMLET_TRY(write_name_list(out, value));
        } else if (key == "type") {
            GEMLET_TRY(write_items_type(out, value));
        } else {
            out.plain(key).plain(":");
            write_value(out, &value, KeyStyle::quoted);
        }
    }
    out.plain("}");
    return {};
}

Status write_object_schema(PromptWriter& out, CommaList& list, const Json& schema) {
    list.next().plain("properties:{");
    const Json* properties = schema.find("properties");
    if (properties != nullptr && properties->is_object()) {
        GEMLET_TRY(write_properties(out, *properties, KeyFilter::all));
    } else {
        GEMLET_TRY(write_properties(out, schema, KeyFilter::no_standard_keys));
    }
    out.plain("}");
    if (const Json* required = schema.find("required"); is_truthy(required)) {
        list.next().plain("required:");
        GEMLET_TRY(write_name_list(out, *required));
    }
    return {};
}

Status write_property(PromptWriter& out, const Json& schema) {
    CommaList list(out);
    if (const Json* description = schema.find("description"); is_truthy(description)) {
        list.next().plain("description:").quoted(python_str(*description));
    }
    const std::string type = type_of(schema);
    if (type == "STRING") {
        if (const Json* values = schema.find("enum"); is_truthy(values)) {
            list.next().plain("enum:");
            write_value(out, values, KeyStyle::quoted);
        }
    } else if (type == "ARRAY") {
        const Json* items = schema.find("items");
        if (items != nullptr && items->is_object() && is_truthy(items)) {
            list.next();
            GEMLET_TRY(write_items(out, *items));
        }
    }
    if (is_truthy(schema.find("nullable"))) list.next().plain("nullable:true");
    if (type == "OBJECT") GEMLET_TRY(write_object_schema(out, list, schema));
    list.next().plain("type:").quoted(type).plain("}");
    return {};
}

Status write_properties(PromptWriter& out, const Json& properties, KeyFilter filter) {
    CommaList list(out);
    for (const Json::Member* member : sorted_members(properties)) {
        const auto& [key, schema] = *member;
        if (filter == KeyFilter::no_standard_keys &&
            std::find(kStandardKeys.begin(), kStandardKeys.end(), key) != kStandardKeys.end()) {
            continue;
        }
        list.next().plain(key).plain(":{");
        GEMLET_TRY(write_property(out, schema));
    }
    return {};
}

Status write_parameters(PromptWriter& out, const Json& parameters) {
    out.plain(",parameters:{");
    if (const Json* properties = parameters.find("properties"); is_truthy(properties)) {
        if (!properties->is_object()) {
            return {StatusCode::bad_argument, "the properties of a tool must be an object"};
        }
        out.plain("properties:{");
        GEMLET_TRY(write_properties(out, *properties, KeyFilter::all));
        out.plain("},");
    }
    if (const Json* required = parameters.find("required"); is_truthy(required)) {
        out.plain("required:");
        GEMLET_TRY(write_name_list(out, *required));
        out.plain(",");
    }
    if (const Json* type = parameters.find("type"); is_truthy(type)) {
        out.plain("type:").quoted(python_upper(python_str(*type))).plain("}");
    }
    return {};
}

void write_response(PromptWriter& out, const Json& response) {
    out.plain(",response:{");
    if (const Json* description = response.find("description"); is_truthy(description)) {
        out.plain("description:").quoted(python_str(*description)).plain(",");
    }
    if (const std::string type = type_of(response); type == "OBJECT") {
        out.plain("type:").quoted(type).plain("}");
    }
}

}  // namespace

Status write_declaration(PromptWriter& out, const Json& tool) {
    const Json* function = tool.find("function");
    if (function == nullptr || !function->is_object()) {
        return {StatusCode::bad_argument, "a tool needs an object named function"};
    }
    out.plain("declaration:").plain(text_of(function->find("name")));
    out.plain("{description:").quoted(text_of(function->find("description")));
    if (const Json* parameters = function->find("parameters"); is_truthy(parameters)) {
        GEMLET_TRY(write_parameters(out, *parameters));
    }
    if (const Json* response = function->find("response"); response != nullptr) {
        write_response(out, *response);
    }
    out.plain("}");
    return {};
}

}  // namespace gemlet::chat
