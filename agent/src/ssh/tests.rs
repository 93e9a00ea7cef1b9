//! Hosts that are not what they should be: silent, talkative, endless, or with words that steer a terminal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::{self, Auth, Msg};
use russh::{Channel, ChannelId};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

use super::command::Input;
use super::scripts::SURVEY;
use super::*;

/// What a host does with whatever it is to run.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Vice {
    /// Never answers.
    Silence,
    /// Says more and more.
    Flood,
    /// Fails, in words that steer a terminal.
    Failure,
    /// Ends without a word.
    NoStatus,
    /// Says what is no survey.
    Nonsense,
}

#[derive(Clone)]
struct Host(Vice);

impl server::Handler for Host {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(match (user, password) {
            ("sam", "right") => Auth::Accept,
            _ => Auth::reject(),
        })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _: &[u8],
        session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        session.channel_success(channel)?;
        let handle = session.handle();
        let vice = self.0;
        tokio::spawn(async move {
            match vice {
                Vice::Silence => return,
                Vice::Flood => while handle.data(channel, vec![b'x'; 1 << 14]).await.is_ok() {},
                Vice::Failure => {
                    let said = b"\x1b]0;owned\x07 no room".to_vec();
                    let _ = handle.extended_data(channel, 1, said).await;
                    let _ = handle.exit_status_request(channel, 1).await;
                }
                Vice::NoStatus => {}
                Vice::Nonsense => {
                    let _ = handle.data(channel, b"Welcome!\nos=Minix\n".to_vec()).await;
                    let _ = handle.exit_status_request(channel, 0).await;
                }
            }
            let _ = handle.close(channel).await;
        });
        Ok(())
    }
}

/// A host with that vice, and the folder in which its key becomes known.
async fn host(vice: Vice) -> (Target, Known, tempfile::TempDir) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let key = KeypairData::from(Ed25519Keypair::from_seed(&[7; 32]));
    let config = Arc::new(server::Config {
        keys: vec![PrivateKey::new(key, "host").unwrap()],
        auth_rejection_time: Duration::ZERO,
        ..server::Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = server::run_stream(config.clone(), stream, Host(vice));
            tokio::spawn(async move {
                if let Ok(session) = serving.await {
                    let _ = session.await;
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let known = Known::new(folder.path().join("state/known_hosts"), None);
    let target = format!("sam@127.0.0.1:{port}").parse().unwrap();
    (target, known, folder)
}

async fn session(vice: Vice) -> (Session, tempfile::TempDir) {
    let (target, known, folder) = host(vice).await;
    let error = Session::connect(&target, &known, &[]).await.unwrap_err();
    let SshError::Unknown { key, .. } = error else {
        panic!("{error}");
    };
    let accepted = [key.fingerprint];
    // Once it was agreed to it is known.
    for accepted in [&accepted[..], &[]] {
        let mut session = Session::connect(&target, &known, accepted).await.unwrap();
        let wrong = Way::Password(Zeroizing::new("wrong".to_owned()));
        assert!(!session.enter(&wrong).await.unwrap());
        let right = Way::Password(Zeroizing::new("right".to_owned()));
        assert!(session.enter(&right).await.unwrap());
        if accepted.is_empty() {
            return (session, folder);
        }
        session.leave().await;
    }
    unreachable!()
}

async fn look(vice: Vice) -> Result<String, SshError> {
    let (session, _folder) = session(vice).await;
    let time = Duration::from_secs(2);
    let ran = session.done("looking at it", SURVEY, &[], Input::Nothing, time);
    Ok(ran.await?.output)
}

#[tokio::test]
async fn what_a_host_does_to_a_command_has_bounds() {
    assert!(matches!(
        look(Vice::Silence).await,
        Err(SshError::Slow { .. })
    ));
    assert!(matches!(
        look(Vice::Flood).await,
        Err(SshError::Talkative(_))
    ));
    assert!(matches!(
        look(Vice::NoStatus).await,
        Err(SshError::Lost { .. })
    ));
    let error = look(Vice::Failure).await.unwrap_err().to_string();
    assert!(
        error.ends_with("]0;owned  no room") && !error.contains('\x1b'),
        "{error:?}"
    );
    let (session, _folder) = session(Vice::Nonsense).await;
    let survey = survey(&session).await.unwrap();
    let program = Program::at(&std::env::current_exe().unwrap()).unwrap();
    let error = steps(&survey, &program, &Record::default()).unwrap_err();
    assert!(error.to_string().contains("Minix"), "{error}");
}

#[tokio::test]
async fn whoever_is_no_sshd_is_left_within_bounds() {
    let known = Known::new("/nowhere/known_hosts".into(), None);
    for endless in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move { chatter(&mut stream, endless).await });
            }
        });
        let target: Target = format!("sam@127.0.0.1:{port}").parse().unwrap();
        let began = Instant::now();
        let error = Session::connect(&target, &known, &[]).await.unwrap_err();
        assert!(matches!(error, SshError::Unreached { .. }), "{error}");
        assert!(began.elapsed() < 2 * crate::limits::SSH_CONNECT_TIMEOUT);
        serving.abort();
    }
    let nobody: Target = "sam@127.0.0.1:1".parse().unwrap();
    let error = Session::connect(&nobody, &known, &[]).await.unwrap_err();
    assert!(error.to_string().contains("does sshd run there"), "{error}");
}

/// What is no SSH: a line and then nothing but an end, or lines for ever.
async fn chatter(stream: &mut TcpStream, endless: bool) {
    loop {
        if stream
            .write_all(&[b"220 mail\r\n".as_slice(); 400].concat())
            .await
            .is_err()
            || !endless
        {
            return;
        }
    }
}
