// Faults as C sees them.
#include "frontends/c_api/handles.h"

namespace gemlet::c_api {

void ErrorText::set(const Status& status, std::string_view place) noexcept {
    // Room for the message comes first; a path's end tells more than its beginning.
    constexpr size_t kMostOfPlace = 300;
    size_t n = 0;
    const auto append = [&](std::string_view text) {
        const size_t take = std::min(text.size(), text_.size() - 1 - n);
        std::memcpy(text_.data() + n, text.data(), take);
        n += take;
    };
    if (place.size() > kMostOfPlace) {
        place.remove_prefix(place.size() - kMostOfPlace);
        while (!place.empty() && (static_cast<unsigned char>(place[0]) & 0xC0U) == 0x80U) {
            place.remove_prefix(1);  // half a character
        }
        append("..");
    }
    if (!place.empty()) {
        append(place);
        append(": ");
    }
    const Status written = guard([&]() -> Status {
        append(status.message());
        return {};
    });
    if (!written.ok()) append(status.text());
    text_[n] = '\0';
}

gemlet_status status_of_code(StatusCode code) {
    switch (code) {
        case StatusCode::ok:
            return GEMLET_OK;
        case StatusCode::not_found:
            return GEMLET_NOT_FOUND;
        case StatusCode::io:
            return GEMLET_IO;
        case StatusCode::corrupt:
            return GEMLET_CORRUPT;
        case StatusCode::unsupported:
            return GEMLET_UNSUPPORTED;
        case StatusCode::bad_argument:
            return GEMLET_BAD_ARGUMENT;
        case StatusCode::context_full:
            return GEMLET_CONTEXT_FULL;
        case StatusCode::out_of_memory:
            return GEMLET_OUT_OF_MEMORY;
        case StatusCode::cancelled:
            return GEMLET_CANCELLED;
    }
    return GEMLET_BAD_ARGUMENT;
}

}  // namespace gemlet::c_api
