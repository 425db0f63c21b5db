// The one place where exceptions end. Libraries we use and the standard containers may throw while
// a model is opened; everything that is called from outside passes through here.
#pragma once

#include <exception>
#include <new>
#include <utility>

#include "core/status.h"

namespace gemlet {

/// Calls `body` (which returns a Status or a Result) and turns what it throws into a Status.
/// For initialisation and frontends only; prefill and decode never throw.
template <class Body>
auto guard(Body&& body) noexcept -> decltype(body()) {
    try {
        return std::forward<Body>(body)();
    } catch (const std::bad_alloc&) {
        return Status(StatusCode::out_of_memory, "not enough memory");
    } catch (const std::exception&) {
        return Status(StatusCode::io, "a library call failed unexpectedly");
    }
}

}  // namespace gemlet
