#pragma once

#include <openssl/base.h>

namespace heddle::tls {

class TlsEngine;

// What BoringSSL calls back while an engine calls it. Not for other modules.
void InstallEngineCallbacks(SSL_CTX* context);

// Makes `ssl` read from and write to the engine's own buffers, and find the engine in callbacks.
void ConnectEngine(SSL* ssl, TlsEngine& engine);

}  // namespace heddle::tls
