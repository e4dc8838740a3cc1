# Every fuzz target of the tree, one per parser of outside bytes. The test "fuzz_registry" compares this list with the
# targets that exist, so that none is lost and none is forgotten here.
set(HEDDLE_FUZZ_REGISTRY
  cni_chain_fuzz
  cni_message_fuzz
  cni_stdin_fuzz
  controlplane_condition_fuzz
  controlplane_json_fuzz
  controlplane_report_fuzz
  controlplane_review_fuzz
  controlplane_yaml_fuzz
  tls_engine_fuzz
  tls_x509_fuzz
  connect_request_fuzz
  delta_response_fuzz
  grpc_codec_fuzz
  http1_message_fuzz
  http_session_fuzz
  kube_config_fuzz
  kube_watch_fuzz
  state_file_fuzz
  workload_view_fuzz
)

# Run as a script (cmake -DBUILT="a b" -P tests/fuzz_registry.cmake) it does the comparison.
if(CMAKE_SCRIPT_MODE_FILE)
  separate_arguments(built UNIX_COMMAND "${BUILT}")
  set(unregistered ${built})
  set(lost ${HEDDLE_FUZZ_REGISTRY})
  list(REMOVE_ITEM unregistered ${HEDDLE_FUZZ_REGISTRY})
  list(REMOVE_ITEM lost ${built})
  if(unregistered OR lost)
    message(FATAL_ERROR "tests/fuzz_registry.cmake: add [${unregistered}], and these have no target: [${lost}]")
  endif()
endif()
