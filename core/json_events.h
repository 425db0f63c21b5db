// JSON as a stream of events: for documents that are large, or whose shape is known and must not be
// allowed to grow into a tree first (a hostile header of 100 MB would become gigabytes of nodes).
// core/json.h builds its tree on top of this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/status.h"

namespace gemlet {

/// Deepest nesting of arrays and objects that a document may have.
constexpr size_t kMaxJsonDepth = 200;

/// One event, in document order.
struct JsonEvent {
    enum class Kind : uint8_t {
        null,
        boolean,
        number,
        string,
        begin_array,
        end_array,
        begin_object,
        key,
        end_object
    };

    Kind kind = Kind::null;
    bool boolean = false;
    bool is_integer = false;  // number: spelled without fraction and exponent
    double number = 0;        // number: nearest double
    size_t offset = 0;        // bytes read so far: just after the event, or one byte further
    std::string text;         // string, key: UTF-8; number: its spelling. The sink may take it
};

/// Receives events; a Status that is not ok ends the reading and is what read_json returns.
using JsonSink = std::function<Status(JsonEvent& event)>;

/// Reads one document (RFC 8259, UTF-8, nothing after it but white space) without recursion.
/// Duplicate members are the sink's business.
/// Errors: `corrupt` with the byte offset for bad syntax, bad UTF-8, numbers beyond a double and
/// nesting deeper than kMaxJsonDepth; what the sink returns.
Status read_json(std::string_view text, const JsonSink& sink);

}  // namespace gemlet
