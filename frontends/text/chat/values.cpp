// The general value syntax of the chat format; see the header.
#include "frontends/text/chat/values.h"

#include "frontends/text/chat/python_text.h"

namespace gemlet::chat {
namespace {

void write_object(PromptWriter& out, const Json& object, KeyStyle keys) {
    bool first = true;
    for (const Json::Member* member : sorted_members(object)) {
        if (!first) out.plain(",");
        first = false;
        if (keys == KeyStyle::quoted) {
            out.quoted(member->first);
        } else {
            out.plain(member->first);
        }
        out.plain(":");
        write_value(out, &member->second, keys);
    }
}

}  // namespace

void write_members(PromptWriter& out, const Json& object) {
    write_object(out, object, KeyStyle::bare);
}

void write_value(PromptWriter& out, const Json* value, KeyStyle keys) {
    if (value == nullptr) {
        out.plain("[]");
        return;
    }
    switch (value->kind) {
        case Json::Kind::null:
            out.plain("null");
            break;
        case Json::Kind::boolean:
            out.plain(value->boolean ? "true" : "false");
            break;
        case Json::Kind::number:
            out.plain(python_str(*value));
            break;
        case Json::Kind::string:
            out.quoted(value->text);
            break;
        case Json::Kind::array:
            out.plain("[");
            for (size_t i = 0; i < value->items.size(); ++i) {
                if (i != 0) out.plain(",");
                write_value(out, &value->items[i], keys);
            }
            out.plain("]");
            break;
        case Json::Kind::object:
            out.plain("{");
            write_object(out, *value, keys);
            out.plain("}");
            break;
    }
}

}  // namespace gemlet::chat
